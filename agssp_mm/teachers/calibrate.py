"""One increasing, invertible map from a teacher's raw scale to [0, 1]."""
import logging
import math
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

#: Where the median and the 99 % quantile of the raw sample values land on the calibrated scale.
MEDIAN_TARGET, TAIL_TARGET, TAIL_QUANTILE = 0.1, 0.8, 0.99
_MAX_SHAPE = 16.0  # steeper curves would only say that the sample is almost constant
_LARGEST = 1.0 - 0.5 / 65535  # largest calibrated value that is inverted: half a step of a 16-bit map below 1


@dataclass(frozen=True)
class Calibration:
    """Calibrated value = ``raw / scale`` (kind ``linear``) or ``1 / (1 + (scale / raw) ** shape)`` (``log-logistic``).

    Both are strictly increasing on [0, inf) up to ``linear``'s end at ``scale``, so that rules written for raw
    values, the paper's box rule among them, can be run on stored maps.

    Attributes:
        kind: ``linear`` or ``log-logistic``.
        scale: Raw value that becomes 1 (linear) or 0.5 (log-logistic); > 0.
        shape: Steepness of the log-logistic curve; > 0, unused by ``linear``.
    """

    kind: str
    scale: float
    shape: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in ('linear', 'log-logistic'):
            raise ValueError(f'kind of calibration must be "linear" or "log-logistic", got {self.kind!r}')
        if not (math.isfinite(self.scale) and self.scale > 0 and math.isfinite(self.shape) and self.shape > 0):
            raise ValueError(f'scale and shape must be finite and > 0, got {self.scale} and {self.shape}')

    @classmethod
    def fit(cls, values: np.ndarray) -> Self:
        """Fit the log-logistic curve to raw values by their median and 99 % quantile.

        Args:
            values: Raw values of a sample of maps, any shape, finite and >= 0. Where more than 99 % of them are 0, as
                of masks of small defects, the quantile is that of the others.
        """
        median, tail = (float(value) for value in np.quantile(values, (0.5, TAIL_QUANTILE)))
        if tail <= 0 and np.any(values > 0):
            tail = float(np.quantile(values[values > 0], TAIL_QUANTILE))
        if tail <= 0:
            logging.getLogger(__name__).warning('the anomaly maps of the calibration sample are all zero')
            return cls('log-logistic', 1.0)
        # A median of zero (mostly flat maps) would make the curve infinitely flat; any small share of the tail will do.
        median = max(median, tail * 1e-3)
        span = _logit(TAIL_TARGET) - _logit(MEDIAN_TARGET)
        shape = min(span / max(math.log(tail / median), 1e-9), _MAX_SHAPE)
        return cls('log-logistic', tail * math.exp(-_logit(TAIL_TARGET) / shape), shape)

    def apply(self, raw: np.ndarray) -> np.ndarray:
        """Raw values (any shape, >= 0) to calibrated float32 in [0, 1]."""
        ratio = np.asarray(raw, np.float64) / self.scale
        if self.kind == 'log-logistic':
            with np.errstate(over='ignore'):  # a huge raw value may become inf here, and exactly 1 below
                power = ratio ** self.shape
            ratio = 1.0 - 1.0 / (1.0 + power)
        return np.clip(ratio, 0.0, 1.0).astype(np.float32)

    def invert(self, calibrated: np.ndarray) -> np.ndarray:
        """Calibrated values (any shape, [0, 1]) back to raw float32; 1 gives a large but finite raw value."""
        value = np.asarray(calibrated, np.float64)
        if self.kind == 'linear':
            return (value * self.scale).astype(np.float32)
        value = np.clip(value, 0.0, _LARGEST)
        return (self.scale * (value / (1.0 - value)) ** (1.0 / self.shape)).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(**state)


def _logit(p: float) -> float:
    return math.log(p / (1.0 - p))
