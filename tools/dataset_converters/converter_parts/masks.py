"""Masks as boxes and run-length codes."""
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from pycocotools import mask as coco_mask
from skimage.measure import label, regionprops


def read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Read a mask.

    Args:
        path: PNG, grey or with a palette; its values or indices are kept.
        size: (width, height) of its image.

    Returns:
        (H, W) uint8 or deeper.

    Raises:
        ValueError: If it is damaged, has another size, or several channels that differ.
    """
    try:
        values = np.asarray(Image.open(path))
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f'unreadable mask: {error}') from error
    if values.ndim == 3:
        if not (values[..., :3] == values[..., :1]).all():
            raise ValueError('the mask has colours; grey values or a palette are needed')
        values = values[..., 0]
    if values.shape != (size[1], size[0]):
        raise ValueError(f'the mask has {values.shape[1]}x{values.shape[0]} pixels, its image {size[0]}x{size[1]}')
    return values.astype(np.uint8) if values.dtype == bool else values


def component_objects(mask: np.ndarray, category: str, min_area: int) -> tuple[list[dict[str, Any]], int]:
    """Make one object of every 8-connected component.

    Args:
        mask: (H, W) bool.
        category: Class of all of them.
        min_area: Fewer pixels make a speck, which is dropped.

    Returns:
        The objects with box, run-length code and area, and the number of specks.
    """
    found = regionprops(label(mask, connectivity=2))
    components = [one for one in found if one.area >= min_area]
    objects = []
    for one in components:
        y1, x1, y2, x2 = one.bbox
        own = np.zeros(mask.shape, bool)
        own[y1:y2, x1:x2] = one.image
        objects.append(dict(category=category, bbox=(x1, y1, x2, y2), **run_length(own)))
    return objects, len(found) - len(components)


def instance_objects(mask: np.ndarray, category: str, min_area: int) -> tuple[list[dict[str, Any]], int]:
    """Make objects of an instance mask: one per value, or one per component where there is one value only."""
    values = [value for value in np.unique(mask) if value]
    if len(values) < 2:
        return component_objects(mask > 0, category, min_area)
    objects, specks = [], 0
    for value in values:
        own = mask == value
        if own.sum() < min_area:
            specks += 1
            continue
        rows, columns = np.flatnonzero(own.any(1)), np.flatnonzero(own.any(0))
        box = tuple(int(value) for value in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
        objects.append(dict(category=category, bbox=box, **run_length(own)))
    return objects, specks


def mask_in_box(mask: np.ndarray, box: tuple[float, float, float, float]) -> dict[str, Any]:
    """Cut out what a mask has inside a box: the pixels of the value that is most frequent there.

    Args:
        mask: (H, W), 0 is background; instances have values of their own, or all one value.
        box: (x1, y1, x2, y2) in pixels.

    Returns:
        `segmentation` and `area`; empty if the mask has nothing there.
    """
    x1, y1 = (int(np.floor(max(value, 0))) for value in box[:2])
    x2, y2 = (int(np.ceil(value)) for value in box[2:])
    part = mask[y1:y2, x1:x2]
    values, counts = np.unique(part[part > 0], return_counts=True)
    if not len(values):
        return {}
    own = np.zeros(mask.shape, bool)
    own[y1:y2, x1:x2] = part == values[counts.argmax()]
    return run_length(own)


def run_length(mask: np.ndarray) -> dict[str, Any]:
    """COCO's compressed run-length code of a bool mask (H, W), with its area in pixels."""
    code = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return dict(segmentation=dict(size=[int(side) for side in code['size']], counts=code['counts'].decode()),
                area=int(mask.sum()))
