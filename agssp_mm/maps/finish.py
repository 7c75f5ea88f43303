"""After the last map: the index, the statistics per source, and the mark that the store is whole."""
import json
import math
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm import tqdm

from ..files import write_atomically
from .plan import PlannedImage
from .prepare import write_meta
from .records import MapRecord, SourceStatistics
from .store import INDEX_NAME, MapStore, read_map

_QUANTILES = ('0.5', '0.9', '0.95', '0.99', '0.999')


def finish_store(store: MapStore, plan: Sequence[PlannedImage], skipped: dict[str, str],
                 lost: Collection[str] = ()) -> None:
    """Read every map back, write index and statistics, and mark the store complete.

    Reading back costs little beside making the maps and shows that each file is whole.

    Args:
        store: The store, with all of its maps.
        plan: All images.
        skipped: Name of each image without a map, with the reason.
        lost: Those of them whose files could not be opened although they were there, which may change.

    Raises:
        ValueError: If a map file is damaged.
    """
    histograms: dict[str, np.ndarray] = {}
    records: list[MapRecord] = []
    planned_maps = [planned for planned in plan if planned.name not in skipped]
    for planned, levels, facts in _read_all(store, planned_maps):
        counts = histograms.setdefault(planned.source, np.zeros(65536, np.int64))
        counts += np.bincount(levels.ravel(), minlength=65536)
        records.append(MapRecord(planned.name, planned.source, facts['height'], facts['width'], planned.key,
                                 facts['score'], facts['peak']))
    with write_atomically(store.path / INDEX_NAME) as file:
        file.writelines(json.dumps(record).encode() + b'\n' for record in records)
    store.meta['statistics'] = {source: _statistics(counts, [r.peak for r in records if r.source == source])._asdict()
                                for source, counts in sorted(histograms.items())}
    store.meta['skipped'] = dict(sorted(skipped.items()))
    store.meta.pop('lost', None)
    if lost:
        store.meta['lost'] = sorted(lost)
    store.meta['complete'] = True
    write_meta(store.path, store.meta)


def _read_all(store: MapStore,
              plan: Sequence[PlannedImage]) -> Iterator[tuple[PlannedImage, np.ndarray, dict]]:
    with ThreadPoolExecutor(4) as pool, tqdm(total=len(plan), desc='statistics', unit='map',
                                             disable=None) as progress:
        # In slices: an executor's map would read the whole store ahead of the consumer.
        for start in range(0, len(plan), 256):
            part = plan[start:start + 256]
            maps = pool.map(read_map, [store.map_path(planned.name) for planned in part])
            for planned, (levels, facts) in zip(part, maps, strict=True):
                yield planned, levels, facts
            progress.update(len(part))


def _statistics(counts: np.ndarray, peaks: list[float]) -> SourceStatistics:
    cumulative = np.cumsum(counts)
    levels = {q: int(np.searchsorted(cumulative, float(q) * cumulative[-1])) for q in _QUANTILES}
    # fsum: the mean must not depend on the order of the images
    return SourceStatistics(len(peaks), math.fsum(peaks) / len(peaks), {q: n / 65535 for q, n in levels.items()})
