"""Boxes of many images in one ``.npz`` of plain arrays, as long as they are worth keeping."""
import logging
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..files import write_atomically
from .boxes import PseudoBoxes

_logger = logging.getLogger(__name__)
_DAMAGE = (ValueError, KeyError, IndexError, EOFError, OSError, zipfile.BadZipFile, zlib.error)


def keep_boxes(path: Path, found: Sequence[PseudoBoxes]) -> None:
    """Write the boxes of some images, atomically; where that fails a warning says so, and they are made again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as file:
            arrays: dict[str, Any] = _flatten(found)
            np.savez_compressed(file, **arrays)
    except OSError as error:
        _logger.warning('the boxes could not be kept at %s (%s) and will be made again next time', path, error)


def read_boxes(path: Path, num_images: int) -> list[PseudoBoxes] | None:
    """What :func:`keep_boxes` wrote; None where there is no file, or, with a warning, a damaged one.

    Args:
        path: The file.
        num_images: How many images it holds the boxes of.
    """
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
