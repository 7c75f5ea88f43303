"""Signs that maps or boxes are of no use, said in words."""
from collections.abc import Mapping

import numpy as np

from ...maps.records import SourceStatistics

#: A box that ends less than this far from the border of its image touches it.
BORDER_PIXELS = 1.5
_NEARLY_ALL = 0.95
_COVERED = 0.5
_AT_BORDER = 0.8
_SATURATED, _FLAT = 0.98, 0.02


def warn_of_boxes(counts: np.ndarray, covered: np.ndarray, at_border: int) -> list[str]:
    """What looks wrong about the boxes of a sample of images.

    Args:
        counts: (N,) int, boxes per image.
        covered: (N,) float in [0, 1], share of each image that its boxes cover.
        at_border: How many boxes touch the border of their image.
    """
    if not len(counts):
        return []
    empty, total = float((counts == 0).mean()), int(counts.sum())
    warnings = []
    if empty >= _NEARLY_ALL:
        warnings.append(f'Nothing is flagged: {empty:.0%} of the images have no box. Lower the threshold, or look at '
                        'whether the maps show the defects at all.')
    if covered.mean() >= _COVERED:
        warnings.append(f'Nearly everything is flagged: the boxes cover {covered.mean():.0%} of the average image. '
                        'Raise the threshold, or choose another teacher.')
    if total and at_border / total >= _AT_BORDER:
        warnings.append(f'Nearly all boxes are at the border: {at_border / total:.0%} of them touch it. The images may '
                        'have a frame, a shadow or a vignette; crop them.')
    return warnings


def warn_of_maps(statistics: Mapping[str, SourceStatistics]) -> list[str]:
    """What looks wrong about the calibrated maps of the sources of a store."""
    warnings = []
    for source, of_source in statistics.items():
        where = f'Source {source}: the' if len(statistics) > 1 else 'The'
        median, top = of_source.quantiles['0.5'], of_source.quantiles['0.999']
        if median >= _SATURATED:
            warnings.append(f'{where} maps are saturated: half of all values are at least {median:.2f} of 1. The '
                            'teacher finds everything unusual; choose another one, or other settings.')
        elif top - median < _FLAT:
            warnings.append(f'{where} maps are flat: 99.9% of all values are below {top:.2f} and half of them below '
                            f'{median:.2f}. The teacher tells nothing apart in these images.')
    return warnings
