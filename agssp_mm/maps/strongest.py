"""A choice among the pseudo boxes of many images that needs no label: so many per image on average, best first."""
import math
from collections.abc import Mapping

import numpy as np

from .boxes import PseudoBoxes


def check_per_image(per_image: float) -> None:
    """Refuse a number of boxes per image that is none.

    Raises:
        ValueError: If it is not positive and finite.
    """
    if not 0 < per_image < math.inf:
        raise ValueError(f'per_image is the mean number of boxes per image and must be > 0 and finite, got {per_image}')


def keep_strongest(boxes: Mapping[str, PseudoBoxes], per_image: float) -> dict[str, PseudoBoxes]:
    """Keep the best-scored boxes of all images together, so many that there are ``per_image`` on average.

    One count replaces a threshold on scores, which no label is there to choose. Boxes that score as much as the last
    one that is kept are kept too; where there are fewer boxes than asked for, all are.

    Args:
        boxes: Name of each image -> its boxes, best first.
        per_image: Boxes per image, images without any included.

    Raises:
        ValueError: If ``per_image`` is not positive, or there is no box at all.
    """
    check_per_image(per_image)
    scores = np.sort(np.concatenate([each.scores for each in boxes.values()]))[::-1]
    if not len(scores):
        raise ValueError(f'there is no box in any of {len(boxes)} images')
    least = scores[min(max(round(per_image * len(boxes)), 1), len(scores)) - 1]
    return {name: _first(each, int((each.scores >= least).sum())) for name, each in boxes.items()}


def _first(boxes: PseudoBoxes, count: int) -> PseudoBoxes:
    return PseudoBoxes(boxes.boxes[:count], boxes.scores[:count], boxes.polygons[:count])
