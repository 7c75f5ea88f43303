"""Images in, map store out: batched, resumable, sharded over the ranks of torch.distributed."""
import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from mmengine.dist import all_gather_object, barrier, get_dist_info
from tqdm import tqdm

from ..images import ImageList, UnreadableImageError, read_image
from ..teachers.base import Teacher
from .finish import finish_store
from .plan import PlannedImage, read_plan
from .prepare import prepare_store
from .store import PLAN_NAME, MapStore

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GenerationSummary:
    """What one run of :func:`generate_maps` did.

    Attributes:
        num_images: Images in the list.
        num_written: Maps written by this run, over all ranks.
        num_existing: Maps that were there before.
        skipped: Name of each image without a map, with the reason.
        seconds: Wall time.
    """

    num_images: int
    num_written: int
    num_existing: int
    skipped: dict[str, str] = field(repr=False)
    seconds: float

    def __str__(self) -> str:
        rate = self.num_written / max(self.seconds, 1e-9)
        lines = [f'{self.num_images} images: {self.num_written} maps written ({rate:.1f} images/s), '
                 f'{self.num_existing} were there, {len(self.skipped)} images skipped']
        lines += [f'  skipped {name}: {reason}' for name, reason in islice(sorted(self.skipped.items()), 20)]
        if len(self.skipped) > 20:
            lines.append(f'  ... and {len(self.skipped) - 20} more, all listed under "skipped" in maps.json')
        return '\n'.join(lines)


def generate_maps(images: ImageList, teacher: Teacher, store_path: str | Path, *, batch_size: int = 8, seed: int = 0,
                  value_range: tuple[float, float] | None = None) -> GenerationSummary:
    """Make the anomaly maps of a list of images, or finish what an interrupted run left undone.

    The teacher is fitted, and the calibration with it, on the images themselves before the first map is written.
    Batches are fixed by the content of the images, so that an interrupted and resumed run, and one on several ranks,
    writes the same bytes. Images that cannot be read are skipped and listed in the summary and the store.

    Args:
        images: The images.
        teacher: Makes the maps; its settings and version are recorded.
        store_path: Folder of the store; made if needed.
        batch_size: Images per call of the teacher.
        seed: Picks the calibration sample.
        value_range: As in :func:`agssp_mm.images.read_image`; recorded in the store.

    Raises:
        ValueError: If the store was made from other images, by another teacher or with other settings, or if no image
            can be read.
    """
    if batch_size < 1:
        raise ValueError(f'batch_size must be at least 1, got {batch_size}')
    started = time.monotonic()
    rank, world_size = get_dist_info()
    store_path = Path(store_path)
    prepare_store(images, teacher, store_path, batch_size, seed, value_range)
    store = MapStore.open(store_path, partial=True)
    plan = read_plan(store_path / PLAN_NAME)
    batches = [plan[start:start + batch_size] for start in range(0, len(plan), batch_size)]
    open_batches = [batch for batch in batches[rank::world_size] if not _is_done(batch, store)]
    worker = _BatchWorker(store, teacher, images.root, value_range)
    worker.run(open_batches, len(plan) // world_size)
    gathered = all_gather_object((worker.num_written, worker.skipped))
    skipped = {name: reason for _, part in gathered for name, reason in part.items()}
    num_written = sum(number for number, _ in gathered)
    if len(skipped) == len(plan):
        name, reason = next(iter(sorted(skipped.items())))
        raise ValueError(f'none of the {len(plan)} images got an anomaly map, e.g. {name}: {reason}')
    if rank == 0:
        finish_store(store, plan, skipped)
    barrier()
    return GenerationSummary(len(plan), num_written, len(plan) - num_written - len(skipped), skipped,
                             time.monotonic() - started)


def _is_done(batch: Sequence[PlannedImage], store: MapStore) -> bool:
    return all(store.map_path(planned.name).is_file() for planned in batch)


class _BatchWorker:
    """Decodes one batch ahead of the teacher and writes what the teacher gives."""

    def __init__(self, store: MapStore, teacher: Teacher, root: Path, value_range: tuple[float, float] | None):
        self.store, self.teacher, self.root, self.value_range = store, teacher, root, value_range
        self.num_written = 0
        self.skipped: dict[str, str] = {}

    def run(self, batches: list[list[PlannedImage]], num_images: int) -> None:
        num_open = sum(len(batch) for batch in batches)
        with ThreadPoolExecutor(2) as pool, tqdm(
                total=num_images, initial=max(num_images - num_open, 0), desc='anomaly maps', unit='image',
                disable=None) as progress:
            for batch, decoded in self._decode_ahead(batches, pool):
                self._write(*self._keep_readable(batch, decoded))
                progress.update(len(batch))

    def _decode_ahead(self, batches: list[list[PlannedImage]],
                      pool: ThreadPoolExecutor) -> Iterator[tuple[list[PlannedImage], list[Future]]]:
        waiting: list[tuple[list[PlannedImage], list[Future]]] = []
        for batch in batches:
            waiting.append((batch, [pool.submit(read_image, self.root / planned.name, self.value_range)
                                    for planned in batch]))
            if len(waiting) > 1:
                yield waiting.pop(0)
        yield from waiting

    def _keep_readable(self, batch: list[PlannedImage],
                       decoded: list[Future]) -> tuple[list[PlannedImage], list[np.ndarray]]:
        kept, arrays = [], []
        for planned, future in zip(batch, decoded, strict=True):
            try:
                arrays.append(future.result())
                kept.append(planned)
            except FileNotFoundError:
                self.skipped[planned.name] = f'the file does not exist below {self.root}'
            except (OSError, UnreadableImageError) as error:
                self.skipped[planned.name] = str(error)
        return kept, arrays

    def _write(self, batch: list[PlannedImage], arrays: list[np.ndarray]) -> None:
        if not batch:
            return
        sources = ([planned.source for planned in batch],) if self.teacher.uses_sources else ()
        maps, scores = self.teacher.predict(arrays, *sources)
        for planned, array, raw, score in zip(batch, arrays, maps, scores, strict=True):
            fault = _fault_of(raw)
            if fault:
                self.skipped[planned.name] = f'{type(self.teacher).__name__} gave a map that is {fault}'
            elif not self.store.map_path(planned.name).is_file():
                self.store.write(planned.name, raw, score, array.shape[:2])
                self.num_written += 1


def _fault_of(raw: np.ndarray) -> str | None:
    if raw.ndim != 2 or not raw.size:
        return f'not two-dimensional (shape {raw.shape})'
    if not np.isfinite(raw).all():
        return 'not finite everywhere'
    return 'negative somewhere' if raw.min() < 0 else None
