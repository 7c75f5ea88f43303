"""Images in, map store out: batched, resumable, sharded over the ranks of torch.distributed."""
import hashlib
import os
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from mmengine.dist import all_gather_object, barrier, get_dist_info
from torch import Tensor
from tqdm import tqdm

from ..images import ImageList, ValueRange
from ..teachers.asking import ask_for_each
from ..teachers.base import Teacher
from ..version import __version__
from .decoding import DecodedBatch, ImageReader, decode_batches, most_lost
from .finish import finish_store
from .plan import PlannedImage, key_or_last, read_plan
from .prepare import StoreSettings, check_place, prepare_store
from .single_writer import single_writer
from .store import PLAN_NAME, MapStore, fault_of

_SECONDS_BETWEEN_LINES = 30.0
_PNG_END = b'\x00\x00\x00\x00IEND\xaeB`\x82'
_LONGEST_NAME = 255 - len('.png')  # bytes of a file name on Linux, of which the map's ending takes some


@dataclass(frozen=True)
class GenerationSummary:
    """What one run of :func:`generate_maps` did.

    Attributes:
        num_images: Images in the list.
        num_written: Maps written by this run, over all ranks.
        num_existing: Maps that were there before.
        skipped: Name of each image without a map, with the reason.
        seconds: Wall time.
        value_ranges: Source -> measured grey values (low, high) that became 0 and 255; empty if none were measured.
    """

    num_images: int
    num_written: int
    num_existing: int
    skipped: dict[str, str] = field(repr=False)
    seconds: float
    value_ranges: Mapping[str, ValueRange] = field(default_factory=dict)

    def __str__(self) -> str:
        rate = self.num_written / max(self.seconds, 1e-9)
        lines = [f'{self.num_images} images: {self.num_written} maps written ({rate:.1f} images/s), '
                 f'{self.num_existing} were there, {len(self.skipped)} images skipped']
        lines += [f'  grey values {low:g} to {high:g} of {source!r} became 0 to 255'
                  for source, (low, high) in sorted(self.value_ranges.items())]
        lines += [f'  skipped {name}: {reason}' for name, reason in islice(sorted(self.skipped.items()), 20)]
        if len(self.skipped) > 20:
            lines.append(f'  ... and {len(self.skipped) - 20} more, all listed under "skipped" in maps.json')
        return '\n'.join(lines)


def generate_maps(images: ImageList, teacher: Teacher, store_path: str | Path, *, batch_size: int = 8, seed: int = 0,
                  value_range: ValueRange | None = None, value_percentiles: ValueRange | None = None,
                  fitted_state: Mapping[str, Tensor] | None = None) -> GenerationSummary:
    """Make the anomaly maps of a list of images, or finish what an interrupted run left undone.

    The teacher is fitted on the images themselves, unless it comes fitted, and so is the calibration, before the first
    map is written.
    Batches are fixed by the content of the images, so that an interrupted and resumed run, and one on several ranks,
    writes the same bytes. Images that cannot be read are skipped and listed in the summary and the store; a store that
    is complete is not gone through again, unless one of them was replaced or a map is gone.

    Args:
        images: The images.
        teacher: Makes the maps; its settings and version are recorded.
        store_path: Folder of the store; made if needed.
        batch_size: Images per call of the teacher; fewer where they are huge.
        seed: Picks the samples for calibration and percentiles.
        value_range: As in :func:`agssp_mm.images.read_image`; recorded in the store.
        value_percentiles: Measure such a range instead: percentiles (low, high) of the grey values of a sample of each
            source. The ranges found are recorded in the store, where later stages look them up.
        fitted_state: What the teacher learned elsewhere, as of its ``state_dict``; it then learns nothing here.

    Raises:
        ValueError: If the store was made from other images, by another teacher or with other settings, if another
            run writes to it, or if no image can be read.
        OSError: If more than a few images cannot be opened any more that could be at the start. The maps made so far
            are kept, and the same call goes on.
    """
    settings = StoreSettings(batch_size, seed, value_range, value_percentiles,
                             None if fitted_state is None else _digest(fitted_state))
    settings.check()
    if fitted_state is not None:
        teacher.load_state_dict(dict(fitted_state))
    store_path = Path(store_path)
    check_place(images, store_path)
    teacher.check_names([entry.name for entry in images])
    with single_writer(store_path):
        return _generate(images, teacher, store_path, settings)


def _generate(images: ImageList, teacher: Teacher, store_path: Path, settings: StoreSettings) -> GenerationSummary:
    started = time.monotonic()
    rank, world_size = get_dist_info()
    prepare_store(images, teacher, store_path, settings)
    store = MapStore.open(store_path, partial=True)
    plan = read_plan(store_path / PLAN_NAME)
    batches = [plan[start:start + settings.batch_size] for start in range(0, len(plan), settings.batch_size)]
    skipped = _still_unreadable(images, plan, store)
    open_batches = [batch for batch in batches[rank::world_size] if not _is_done(batch, store, skipped)]
    worker = _BatchWorker(store, teacher, ImageReader(images.root, store.scaling), most_lost(len(plan)))
    worker.run(open_batches, len(plan) // world_size)
    gathered = all_gather_object((worker.num_written, worker.skipped, worker.lost))
    num_written, lost = sum(number for number, _, _ in gathered), set().union(*(names for _, _, names in gathered))
    for _, part, _ in gathered:
        skipped |= part
    _check_lost(lost, plan, skipped, images.root)
    if len(skipped) == len(plan):
        name, reason = next(iter(sorted(skipped.items())))
        raise ValueError(f'none of the {len(plan)} images got an anomaly map, e.g. {name}: {reason}')
    is_finished = store.meta['complete'] and not num_written and skipped == store.skipped and store.index_is_there
    if rank == 0 and not is_finished:
        finish_store(store, plan, skipped, lost)
    barrier()
    return GenerationSummary(len(plan), num_written, len(plan) - num_written - len(skipped), skipped,
                             time.monotonic() - started, store.scaling.of_sources)


def _digest(state: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}\n'.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _still_unreadable(images: ImageList, plan: Sequence[PlannedImage], store: MapStore) -> dict[str, str]:
    """Images that a whole run before found to have no map, with the reason, as far as their files are the same."""
    if not store.meta['complete'] or store.meta['agssp_mm'] != __version__:  # another version may read more
        return {}
    settled = set(store.skipped) - set(store.meta.get('lost', ()))
    return {planned.name: store.skipped[planned.name] for planned in plan
            if planned.name in settled and key_or_last(images.root / planned.name, store.meta['seed']) == planned.key}


def _check_lost(lost: Collection[str], plan: Sequence[PlannedImage], skipped: Mapping[str, str], root: Path) -> None:
    if len(lost) > most_lost(len(plan)):
        name = min(lost)
        raise OSError(f'{len(lost)} images below {root} that could be opened when the run began cannot be any more, '
                      f'e.g. {name}: {skipped[name]}; is the disk or network share still there? The maps made so far '
                      'are kept: run the same again once it is')


def _is_done(batch: Sequence[PlannedImage], store: MapStore, settled: Mapping[str, str]) -> bool:
    return all(planned.name in settled or _is_whole(store.map_path(planned.name)) for planned in batch)


def _is_whole(path: Path) -> bool:
    """Whether there is a PNG up to its end: a power cut may leave files empty that were renamed into place."""
    try:
        with open(path, 'rb') as file:
            file.seek(-len(_PNG_END), os.SEEK_END)
            return file.read() == _PNG_END
    except (OSError, ValueError):  # not there, or shorter
        return False


class _BatchWorker:
    """Takes decoded batches and writes what the teacher gives."""

    def __init__(self, store: MapStore, teacher: Teacher, reader: ImageReader, most_lost: int):
        self.store, self.teacher, self.reader, self.most_lost = store, teacher, reader, most_lost
        self.num_written = 0
        self.skipped: dict[str, str] = {}
        self.lost: set[str] = set()

    def run(self, batches: list[list[PlannedImage]], num_images: int) -> None:
        num_open = sum(len(batch) for batch in batches)
        # On a screen a bar; in a log file nothing of short runs, and of long ones a line now and then.
        interval, delay = (0.1, 0) if sys.stderr.isatty() else (_SECONDS_BETWEEN_LINES, _SECONDS_BETWEEN_LINES)
        with tqdm(total=num_images, initial=max(num_images - num_open, 0), desc='anomaly maps', unit='image',
                  mininterval=interval, delay=delay) as progress:
            for batch in decode_batches(batches, self.reader):
                self.skipped |= batch.skipped
                self.lost |= batch.lost
                if len(self.lost) > self.most_lost:
                    break  # all ranks meet before one of them may raise
                self._write(batch)
                progress.update(batch.number)

    def _write(self, batch: DecodedBatch) -> None:
        answer = ask_for_each(self.teacher, batch.images, batch.planned)
        self.skipped |= {batch.planned[place].name: reason for place, reason in answer.refused.items()}
        for place, raw, score in zip(answer.places, answer.maps, answer.scores, strict=True):
            name, size = batch.planned[place].name, batch.images[place].shape[:2]
            fault = fault_of(raw)
            if fault:
                self.skipped[name] = f'{type(self.teacher).__name__} gave a map that is {fault}'
            elif len(os.fsencode(os.path.basename(name))) > _LONGEST_NAME:
                self.skipped[name] = f'the name has more than {_LONGEST_NAME} bytes, too many for its map; shorten it'
            elif not _is_whole(self.store.map_path(name)):
                self.store.write(name, raw, score, size)
                self.num_written += 1
