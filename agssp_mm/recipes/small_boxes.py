"""Telling when labelled defects become too small for a detector at the size that images are scaled to."""
import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from .labels import read_part

#: Pixels, square root of the area. The finest features of most detectors have a stride of 8: two cells.
LEAST_SIDE = 16
_STEP = 64


def small_box_note(annotations: str | Path, image_size: int) -> str | None:
    """Say which kinds of labelled defects the fine-tuning will hardly see at this size of images.

    Args:
        annotations: COCO file that passed :func:`agssp_mm.recipes.label_checks.check_labels`.
        image_size: Pixels that the longer side of images is scaled to.

    Returns:
        A sentence that names the categories of which half of the boxes are smaller than ``LEAST_SIDE`` pixels, and
        what would mend it; None where there are none.
    """
    images = {one['id']: one for one in read_part(annotations, 'images')}
    longest = median(max(one['width'], one['height']) for one in images.values())
    own = _median_sides(annotations, images)
    small = {name: side * image_size / longest for name, side in own.items()
             if side * image_size / longest < LEAST_SIDE}
    if not small:
        return None
    kinds = ', '.join(f'{name!r} ({side:.1f})' for name, side in sorted(small.items(), key=lambda item: item[1]))
    better = math.ceil(image_size * LEAST_SIDE / min(small.values()) / _STEP) * _STEP
    whole = math.ceil(longest / _STEP) * _STEP
    mended = f'--image-size {better} keeps them' if better <= whole else \
        'they are small in the images themselves' + (
            f': --image-size {whole} keeps what is there, and' if whole > image_size else ';') + \
        ' tiles cut from the images and enlarged show more'
    return (f'at {image_size} pixels half of the labelled boxes of these kinds are smaller than {LEAST_SIDE} pixels, '
            f'two cells of the finest features of most detectors, which hardly find them: {kinds}; {mended}')


def _median_sides(annotations: str | Path, images: Mapping[Any, Mapping[str, Any]]) -> dict[str, float]:
    """Median square root of the area of each category's boxes, in pixels of the median image; what is used of them."""
    names = {one['id']: str(one['name']) for one in read_part(annotations, 'categories')}
    longest = median(max(one['width'], one['height']) for one in images.values())
    sides = defaultdict(list)
    for box in read_part(annotations, 'annotations'):
        image = images[box['image_id']]
        side = math.sqrt(_visible_area(box['bbox'], image['width'], image['height']))
        if side >= 1 and not box.get('iscrowd') and not box.get('ignore'):
            sides[names[box['category_id']]].append(side * longest / max(image['width'], image['height']))
    return {name: median(found) for name, found in sides.items()}


def _visible_area(box: list[float], width: float, height: float) -> float:
    """Of the part inside the image, 0 below 1 pixel, which MMDetection leaves out."""
    x, y, box_width, box_height = box
    inside = min(x + box_width, width) - max(x, 0), min(y + box_height, height) - max(y, 0)
    return max(inside[0], 0) * max(inside[1], 0) if min(box_width, box_height) >= 1 else 0.0
