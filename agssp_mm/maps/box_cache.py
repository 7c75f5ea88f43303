"""Pseudo boxes of a whole store, made once and kept beside its maps."""
import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from mmengine.dist import get_dist_info
from tqdm import tqdm

from .box_files import keep_boxes, read_boxes
from .boxes import BoxContext, BoxRule, PseudoBoxes
from .records import MapRecord
from .store import INDEX_NAME, MapStore

FORMAT = 1
FOLDER = 'boxes'
#: Images whose boxes are kept at once while those of a large store are made.
PART_IMAGES = 5000


def load_or_make_boxes(store: MapStore, rule: BoxRule) -> dict[str, PseudoBoxes]:
    """Pseudo boxes of every image of a store, in the order of its index.

    They are made by the first call and kept in ``<store>/boxes/<key>.npz``; the key covers type, version and settings
    of the rule and what the store holds, so a change of any makes them anew. Boxes of large stores are kept in parts
    while they are made: a killed process goes on where it was, and several share the work, each taking up the parts
    that others have made. A damaged file is made again, with a warning.

    Args:
        store: A finished map store.
        rule: Makes the boxes.

    Returns:
        Name of each image -> its boxes; images without any included.

    Raises:
        KeyError: If a map of the store is gone.
        ValueError: If one is damaged.
    """
    names = [record.name for record in store.index]
    path = cache_path(store, rule)
    found = read_boxes(path, len(names))
    if found is None:
        found = _make(store, rule, path.with_suffix(''))
        keep_boxes(path, found)
        shutil.rmtree(path.with_suffix(''), ignore_errors=True)
    return dict(zip(names, found, strict=True))


def cache_path(store: MapStore, rule: BoxRule) -> Path:
    """Where the boxes that this rule finds in this store are kept."""
    index = hashlib.blake2b((store.path / INDEX_NAME).read_bytes()).hexdigest()
    identity = json.dumps([FORMAT, type(rule).__name__, rule.version, rule.settings, store.meta, index], sort_keys=True)
    return store.path / FOLDER / f'{hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()}.npz'


def _make(store: MapStore, rule: BoxRule, folder: Path) -> list[PseudoBoxes]:
    """Boxes in the order of the index; ``folder`` is for the parts."""
    records, contexts = store.index, {source: BoxContext(store.calibration, statistics)
                                      for source, statistics in store.statistics.items()}
    rank, world_size = get_dist_info()
    starts = range(0, len(records), PART_IMAGES)
    found: dict[int, list[PseudoBoxes]] = {}
    with tqdm(total=len(records), desc='pseudo boxes', unit='image', disable=None) as progress:
        first = rank * len(starts) // world_size  # every rank begins elsewhere
        for number in [*range(first, len(starts)), *range(first)]:
            part, path = records[starts[number]:starts[number] + PART_IMAGES], folder / f'{number:05}.npz'
            kept = read_boxes(path, len(part))
            found[number] = kept if kept is not None else [
                _boxes(store, rule, record, contexts, progress) for record in part]
            if kept is not None:
                progress.update(len(part))
            elif len(starts) > 1:
                keep_boxes(path, found[number])
    return [boxes for _, part in sorted(found.items()) for boxes in part]


def _boxes(store: MapStore, rule: BoxRule, record: MapRecord, contexts: Mapping[str, BoxContext],
           progress: tqdm) -> PseudoBoxes:
    progress.update()
    return rule(store.read(record.name), (record.height, record.width), contexts[record.source])
