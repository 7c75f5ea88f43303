"""Telling when labelled defects become too small for a detector at the size that images are scaled to."""
import math
from collections import defaultdict
from pathlib import Path
from statistics import median

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
        A sentence that names the categories of which half of the boxes are smaller than ``LEAST_SIDE`` pixels and the
        image size that would mend it; None where there are none.
    """
    names = {one['id']: str(one['name']) for one in read_part(annotations, 'categories')}
    scales = {one['id']: image_size / max(one['width'], one['height']) for one in read_part(annotations, 'images')}
    sides = defaultdict(list)
    for box in read_part(annotations, 'annotations'):
        if not box.get('iscrowd') and not box.get('ignore'):
            sides[names[box['category_id']]].append(math.sqrt(max(box['bbox'][2] * box['bbox'][3], 0))
                                                    * scales[box['image_id']])
    small = {name: median(found) for name, found in sides.items() if 0 < median(found) < LEAST_SIDE}
    if not small:
        return None
    kinds = ', '.join(f'{name} ({side:.0f})' for name, side in sorted(small.items(), key=lambda item: item[1]))
    better = math.ceil(image_size * LEAST_SIDE / min(small.values()) / _STEP) * _STEP
    return (f'at {image_size} pixels half of the labelled boxes of these kinds are smaller than {LEAST_SIDE} pixels, '
            f'two cells of the finest features of most detectors, which hardly find them: {kinds}. Larger images '
            f'(--image-size {better}) or tiles cut from them keep more')
