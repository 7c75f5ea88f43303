"""How well anomaly maps agree with masks: pixel AUROC, AUPRO, average precision and best F1, streamed."""
from typing import NamedTuple

import cv2
import numpy as np
from skimage import measure

#: Scores are quantised to this many levels, 0.05 % of their own size apart: 11 bits of the mantissa.
NUM_LEVELS = 1 << 19
_DROPPED_BITS = 12


class QualityReport(NamedTuple):
    """Agreement over a set of images, all but the counts in [0, 1]; NaN where there is nothing to measure.

    Attributes:
        auroc: Over all pixels of all images, those of images free of defects included.
        auroc_per_image: Mean over the images that have both defective and sound pixels.
        aupro: Area under the per-region overlap up to a false positive rate of 0.3, divided by 0.3.
        average_precision: Sum of the precision over the steps of the recall.
        best_f1: Highest F1 of the pixels at any one threshold.
        num_images: Images seen.
        num_defective: Images with a defective pixel.
    """

    auroc: float
    auroc_per_image: float
    aupro: float
    average_precision: float
    best_f1: float
    num_images: int
    num_defective: int


class PixelQuality:
    """Takes in maps and masks one by one, in memory that does not grow with their number.

    Scores are counted in :data:`NUM_LEVELS` levels, evenly spaced relative to the score (the leading bits of
    the float), so no range has to be known beforehand. Every figure is exact for the scores so quantised.
    """

    def __init__(self) -> None:
        self._defective = np.zeros(NUM_LEVELS, dtype=np.int64)
        self._sound = np.zeros(NUM_LEVELS, dtype=np.int64)
        self._overlaps = np.zeros(NUM_LEVELS)
        self._num_regions = self._num_images = self._num_defective = 0
        self._aurocs: list[float] = []

    def add(self, anomaly_map: np.ndarray, mask: np.ndarray, ignore: np.ndarray | None = None) -> None:
        """Take in one image.

        Args:
            anomaly_map: (h, w) float, finite, >= 0; brought to the size of the mask bilinearly.
            mask: (H, W) bool, True on defects; its 8-connected components are the regions of AUPRO.
            ignore: (H, W) bool, True on pixels that count neither as defective nor as sound.

        Raises:
            ValueError: If the map is not finite or negative, or the shapes do not fit.
        """
        if mask.ndim != 2 or (ignore is not None and ignore.shape != mask.shape):
            raise ValueError(f'mask and ignore must be (H, W) and alike, got {mask.shape} and '
                             f'{None if ignore is None else ignore.shape}')
        levels = score_levels(resize_to(anomaly_map, mask.shape))
        counted = np.ones_like(mask) if ignore is None else ~ignore
        sound = np.bincount(levels[counted & ~mask], minlength=NUM_LEVELS)
        self._num_images += 1
        self._sound += sound
        defects = mask & counted
        if not defects.any():
            return
        defective = np.bincount(levels[defects], minlength=NUM_LEVELS)
        self._num_defective += 1
        self._defective += defective
        if sound.any():
            self._aurocs.append(auroc(defective, sound))
        regions = measure.label(defects, connectivity=2)
        areas = np.bincount(regions.ravel())
        self._num_regions += len(areas) - 1
        shares = 1 / areas[regions[defects]]
        self._overlaps += np.bincount(levels[defects], weights=shares, minlength=NUM_LEVELS)

    def report(self) -> QualityReport:
        """The figures of everything added so far."""
        counts = self._defective, self._sound
        per_image = float(np.mean(self._aurocs)) if self._aurocs else float('nan')
        per_region = aupro(self._overlaps / max(1, self._num_regions), self._sound)
        return QualityReport(auroc(*counts), per_image, per_region, average_precision(*counts),
                             best_f1(*counts), self._num_images, self._num_defective)


def resize_to(anomaly_map: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring a map to (H, W) bilinearly, pixel centres aligned: float32.

    Raises:
        ValueError: If the map is not (h, w), not finite, or negative somewhere.
    """
    if anomaly_map.ndim != 2 or not np.isfinite(anomaly_map).all() or (anomaly_map < 0).any():
        raise ValueError('an anomaly map must be (h, w), finite and >= 0; got shape '
                         f'{anomaly_map.shape}, minimum {np.min(anomaly_map)}, maximum {np.max(anomaly_map)}')
    return cv2.resize(anomaly_map.astype(np.float32), (size[1], size[0]), interpolation=cv2.INTER_LINEAR)


def score_levels(scores: np.ndarray) -> np.ndarray:
    """Quantise float32 scores >= 0 in their order: non-negative floats sort as their bit patterns do.

    Returns:
        int64, in [0, NUM_LEVELS), of the shape of ``scores``.
    """
    positive = np.ascontiguousarray(scores + np.float32(0), dtype=np.float32)  # + 0 turns -0 into 0
    bits = positive.view(np.uint32)
    return (bits >> _DROPPED_BITS).astype(np.int64)


def auroc(defective: np.ndarray, sound: np.ndarray) -> float:
    """Chance that a defective pixel scores higher than a sound one, ties counting half.

    Args:
        defective: (NUM_LEVELS,) number of defective pixels per score level, rising; any number of levels.
        sound: The same of the sound pixels.

    Returns:
        In [0, 1], or NaN if there are none of either.
    """
    pairs = float(defective.sum()) * float(sound.sum())
    below = np.cumsum(sound) - 0.5 * sound
    return float(defective @ below / pairs) if pairs else float('nan')


def average_precision(defective: np.ndarray, sound: np.ndarray) -> float:
    """Sum over the levels of precision times the gain in recall; arguments as in :func:`auroc`."""
    hits, alarms = _above(defective), _above(sound)
    total = defective.sum()
    return float((hits / np.maximum(hits + alarms, 1)) @ defective[::-1] / total) if total else float('nan')


def best_f1(defective: np.ndarray, sound: np.ndarray) -> float:
    """Highest 2 TP / (2 TP + FP + FN) of any threshold; arguments as in :func:`auroc`."""
    hits, alarms = _above(defective), _above(sound)
    total = defective.sum()
    return float((2 * hits / (hits + alarms + total)).max()) if total else float('nan')


def aupro(overlaps: np.ndarray, sound: np.ndarray, limit: float = 0.3) -> float:
    """Area under mean overlap of the regions against false positive rate, up to ``limit``, normalised.

    Bergmann et al., "The MVTec anomaly detection dataset", IJCV 2021, section 4.

    Args:
        overlaps: (NUM_LEVELS,) mean over the regions of the share of their pixels per score level; sums to 1.
        sound: (NUM_LEVELS,) number of sound pixels per score level.
        limit: Highest false positive rate, in (0, 1].

    Returns:
        In [0, 1], or NaN without regions or without sound pixels.
    """
    if not overlaps.any() or not sound.any():
        return float('nan')
    used = np.flatnonzero((overlaps > 0) | (sound > 0))
    rates = np.concatenate([[0], _above(sound[used]) / sound.sum()])
    heights = np.concatenate([[0], _above(overlaps[used])])
    inside = rates <= limit
    rates_inside = np.append(rates[inside], limit)
    heights_inside = np.append(heights[inside], np.interp(limit, rates, heights))
    integral = getattr(np, 'trapezoid', None) or np.trapz  # its name before NumPy 2
    return float(integral(heights_inside, rates_inside) / limit)


def _above(histogram: np.ndarray) -> np.ndarray:
    """What lies at or above each level, from the highest level down."""
    return np.cumsum(histogram[::-1])
