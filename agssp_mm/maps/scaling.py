"""Measuring, once per store, which grey values of deep images become black and white."""
import logging
from pathlib import Path

import numpy as np

from ..images import UnreadableImageError, ValueRange, ValueScaling, decode_values
from ..images.scaling import measure_value_range
from .decoding import ReadableImages
from .plan import PlannedImage, sample_plan

#: Most images per source whose grey values are looked at.
SCALING_IMAGES = 500
_GLANCE_IMAGES, _GLANCE_QUANTILE, _DARK_SHARE = 64, 0.999, 1 / 8


def measure_scaling(root: Path, plan: list[PlannedImage], percentiles: ValueRange, seed: int) -> ValueScaling:
    """The percentiles of the grey values of a seeded sample of each source.

    Args:
        root: Root of the image names.
        plan: All images.
        percentiles: (low, high), in [0, 100].
        seed: Picks the sample.

    Raises:
        ValueError: If no sampled image has more than 8 bits, or all have the same grey value.
    """
    ranges = {}
    for source in sorted({planned.source for planned in plan}):
        own = sample_plan([planned for planned in plan if planned.source == source], SCALING_IMAGES, seed)
        deep = ReadableImages(own, lambda planned: _values(root, planned), 'measuring grey values')
        ranges[source] = measure_value_range(deep, percentiles)
    if not any(ranges.values()):
        raise ValueError(f'value_percentiles scale images of more than 8 bits, but below {root} there is none among '
                         f'{min(len(plan), SCALING_IMAGES)} images; leave them out, 8 bits are taken as they are')
    return ValueScaling(None, {source: values for source, values in ranges.items() if values})


def warn_of_dark_images(root: Path, plan: list[PlannedImage], seed: int) -> None:
    """Say so if deep images fill only a small part of their type, as 12-bit cameras do, and no range was given."""
    glance = ReadableImages(sample_plan(plan, _GLANCE_IMAGES, seed), lambda planned: _values(root, planned),
                            'looking at grey values')
    for values in glance:
        if not np.issubdtype(values.dtype, np.integer) or values.dtype == np.uint8:
            continue
        info = np.iinfo(values.dtype)
        top = float(np.quantile(values, _GLANCE_QUANTILE))
        if top - info.min < _DARK_SHARE * (float(info.max) - info.min):
            logging.getLogger(__name__).warning(
                'images of type %s hold grey values up to about %g, but the full range, to %d, is scaled to 8 bits, so '
                'they become nearly black; give a value range or value percentiles', values.dtype, top, info.max)
            return


def _values(root: Path, planned: PlannedImage) -> np.ndarray:
    path = root / planned.name
    values = decode_values(path.read_bytes(), str(path))
    if not np.isfinite(values).any():
        raise UnreadableImageError(f'{path}: no grey value is finite')
    return values
