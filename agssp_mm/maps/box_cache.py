"""Pseudo boxes of a whole store, made once and kept beside its maps."""
import hashlib
import json
import logging
import shutil
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import get_dist_info
from tqdm import tqdm

from ..files import write_atomically
from .boxes import BoxContext, BoxRule, PseudoBoxes
from .records import MapRecord
from .store import INDEX_NAME, MapStore

FORMAT = 1
FOLDER = 'boxes'
#: Images whose boxes are kept at once while those of a large store are made.
PART_IMAGES = 5000

_logger = logging.getLogger(__name__)
_DAMAGE = (ValueError, KeyError, IndexError, EOFError, OSError, zipfile.BadZipFile, zlib.error)


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
    found = _read_if_whole(path, len(names))
    if found is None:
        found = _make(store, rule, path.with_suffix(''))
        _keep(path, found)
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
            kept = _read_if_whole(path, len(part))
            found[number] = kept if kept is not None else [
                _boxes(store, rule, record, contexts, progress) for record in part]
            if kept is not None:
                progress.update(len(part))
            elif len(starts) > 1:
                _keep(path, found[number])
    return [boxes for _, part in sorted(found.items()) for boxes in part]


def _boxes(store: MapStore, rule: BoxRule, record: MapRecord, contexts: Mapping[str, BoxContext],
           progress: tqdm) -> PseudoBoxes:
    progress.update()
    return rule(store.read(record.name), (record.height, record.width), contexts[record.source])


def _keep(path: Path, found: Sequence[PseudoBoxes]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as file:
            arrays: dict[str, Any] = _flatten(found)
            np.savez_compressed(file, **arrays)
    except OSError as error:
        _logger.warning('the boxes could not be kept at %s (%s) and will be made again next time', path, error)


def _read_if_whole(path: Path, num_images: int) -> list[PseudoBoxes] | None:
    """None where there is no file, or, with a warning, a damaged one."""
    try:
        return _read(path, num_images)
    except FileNotFoundError:
        return None
    except _DAMAGE as error:
        _logger.warning('%s is damaged (%s: %s); its boxes are made again', path, type(error).__name__, error)
        return None


def _flatten(found: Sequence[PseudoBoxes]) -> dict[str, np.ndarray]:
    """Ragged lists as plain arrays: values one after another, with the number per image, box and outline."""
    outlines = [outline for boxes in found for group in boxes.polygons for outline in group]
    return dict(
        boxes=np.concatenate([boxes.boxes for boxes in found] or [np.zeros((0, 4), np.float32)]),
        scores=np.concatenate([boxes.scores for boxes in found] or [np.zeros(0, np.float32)]),
        points=np.concatenate(outlines or [np.zeros((0, 2), np.float32)]),
        boxes_per_image=np.array([len(boxes.boxes) for boxes in found], np.int64),
        outlines_per_box=np.array([len(group) for boxes in found for group in boxes.polygons], np.int64),
        points_per_outline=np.array([len(outline) for outline in outlines], np.int64))


def _read(path: Path, num_images: int) -> list[PseudoBoxes]:
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    outlines = _split(arrays['points'], arrays['points_per_outline'])
    groups = _split(outlines, arrays['outlines_per_box'])
    per_image = arrays['boxes_per_image']
    if len(per_image) != num_images:
        raise ValueError(f'it holds the boxes of {len(per_image)} images, the store has {num_images}')
    return [PseudoBoxes(*parts) for parts in zip(_split(arrays['boxes'], per_image),
                                                 _split(arrays['scores'], per_image),
                                                 _split(groups, per_image), strict=True)]


def _split(values: np.ndarray | list, counts: np.ndarray) -> list:
    """Cut a sequence into consecutive parts of the given lengths."""
    ends = np.cumsum(counts)
    if len(values) != (ends[-1] if len(ends) else 0):
        raise ValueError(f'{len(values)} values where {ends[-1] if len(ends) else 0} are announced')
    return [values[end - count:end] for end, count in zip(ends.tolist(), counts.tolist(), strict=True)]
