"""Grey values of deep images to 8 bits: one fixed linear map for many images, never one guessed per image."""
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from .errors import UnreadableImageError

#: Grey values (low, high) that become 0 and 255.
ValueRange = tuple[float, float]
_VALUES_PER_IMAGE = 4096  # taken from each image for the percentiles
_BLOCK = 1 << 20  # values that are scaled at once: large images need no second copy as floats


@dataclass(frozen=True)
class ValueScaling:
    """How the grey values of deep images are scaled, source by source.

    Attributes:
        value_range: Range of every image whose source has none of its own; ``None`` = full range of the type.
        of_sources: Source -> range, where percentiles were measured.
    """

    value_range: ValueRange | None = None
    of_sources: Mapping[str, ValueRange] = field(default_factory=dict)

    def of(self, source: str) -> ValueRange | None:
        """The range of one source."""
        return self.of_sources.get(source, self.value_range)

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> Self:
        """Read the entries ``value_range`` and ``value_ranges`` of a store's ``maps.json``."""
        fixed = meta.get('value_range')
        measured = {source: tuple(values) for source, values in meta.get('value_ranges', {}).items()}
        return cls(tuple(fixed) if fixed else None, measured)


def check_value_range(value_range: Sequence[float]) -> ValueRange:
    """Two finite numbers, the first below the second.

    Raises:
        ValueError: If they are anything else.
    """
    if len(value_range) != 2 or not all(map(math.isfinite, value_range)) or not value_range[0] < value_range[1]:
        raise ValueError(f'value_range must be (low, high) with low < high, both finite, got {value_range}')
    return float(value_range[0]), float(value_range[1])


def check_percentiles(percentiles: Sequence[float]) -> ValueRange:
    """Two percentiles in [0, 100], the first below the second.

    Raises:
        ValueError: If they are anything else.
    """
    if len(percentiles) != 2 or not 0 <= percentiles[0] < percentiles[1] <= 100:
        raise ValueError(f'value_percentiles must be (low, high) with 0 <= low < high <= 100, got {percentiles}')
    return float(percentiles[0]), float(percentiles[1])


def measure_value_range(images: Iterable[np.ndarray], percentiles: Sequence[float]) -> ValueRange | None:
    """Percentiles of the grey values of many images together.

    At most 4,096 evenly spread values of each image count, so that large images do not outvote small ones.

    Args:
        images: (H, W) or (H, W, 3) arrays of any type; those of 8 bits are left out, as they are never scaled.
        percentiles: (low, high), in [0, 100].

    Returns:
        The grey values (low, high), or ``None`` if there is no deep image.

    Raises:
        ValueError: If both percentiles are the same grey value.
    """
    low, high = check_percentiles(percentiles)
    samples = [_spread(values) for values in images if values.dtype != np.uint8]
    samples = [values for values in samples if values.size]
    if not samples:
        return None
    lowest, highest = (float(value) for value in np.percentile(np.concatenate(samples), (low, high)))
    if not lowest < highest:
        raise ValueError(f'the percentiles {low:g} and {high:g} of the grey values of {len(samples)} images are both '
                         f'{lowest:g}; give percentiles farther apart, or a value_range')
    return lowest, highest


def _spread(values: np.ndarray) -> np.ndarray:
    """At most 4,096 finite values as float64; over rows and columns, so that no fixed column is met again and again."""
    pixels = values.shape[0] * values.shape[1]
    places = np.linspace(0, pixels - 1, min(pixels, _VALUES_PER_IMAGE)).astype(np.int64)
    flat = values.reshape(pixels, -1)[places].astype(np.float64).ravel()
    return flat[np.isfinite(flat)]


def scale_to_bytes(values: np.ndarray, name: str, value_range: ValueRange | None) -> np.ndarray:
    """Bring grey values of any type to uint8 with one fixed linear map.

    Args:
        values: (H, W) or (H, W, 3), any integer or floating dtype.
        name: What error messages call the image.
        value_range: (low, high) that become 0 and 255; ``None`` = full range of an integer dtype.

    Returns:
        uint8 of the same shape: values are rounded to the nearest, those outside the range clipped.

    Raises:
        ValueError: If the range is empty.
        UnreadableImageError: If floating-point values come without a range or are not finite.
    """
    if value_range is None:
        if not np.issubdtype(values.dtype, np.integer):
            raise UnreadableImageError(f'{name}: {values.dtype} grey values have no natural range; give '
                                       'value_range=(low, high), or percentiles to measure one')
        value_range = (np.iinfo(values.dtype).min, np.iinfo(values.dtype).max)
    low, high = check_value_range(value_range)
    exact = np.float32 if values.dtype.itemsize <= 2 else np.float64
    flat, scaled = values.reshape(-1), np.empty(values.size, dtype=np.uint8)
    for start in range(0, flat.size, _BLOCK):
        block = (flat[start:start + _BLOCK].astype(exact) - exact(low)) * exact(255.0 / (high - low))
        if not np.isfinite(block).all():
            raise UnreadableImageError(f'{name}: some grey values are NaN or infinite; fill them before')
        scaled[start:start + _BLOCK] = np.clip(np.rint(block), 0, 255)
    return scaled.reshape(values.shape)
