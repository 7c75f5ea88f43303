"""Pseudo boxes from the components of one map at many thresholds, the most conspicuous of each nest."""
from typing import Any, ClassVar, NamedTuple

import cv2
import numpy as np
from mmengine.registry import TASK_UTILS
from scipy.ndimage import find_objects
from skimage.measure import label

from .boxes import BoxContext, BoxRule, PseudoBoxes, check_box_inputs
from .outlines import component_outline
from .paper_boxes import minimum_area

MAX_BOXES = 10
#: Shares of the map that lie above the thresholds: from a pit to where noise alone spans the image.
SHARES = np.geomspace(0.002, 0.4, 10)
#: Components per threshold, largest first; more are texture.
MAX_COMPONENTS = 16
#: 0.5 makes the strength a scan statistic; a little more measured better on all sets (docs/research/box_rules.md).
SIZE_EXPONENT = 0.55
#: A box of less than this part of the image's strongest is dropped.
RELATIVE_FLOOR = 0.3
#: Of two boxes that share more than this part of the smaller one, the weaker is dropped.
MAX_SHARED = 0.5
#: An edge moves inwards by at most this part of the box.
MAX_SHRINK = 0.3
_NORMAL_Q90 = 1.2816  # 90 % quantile of the standard normal distribution
_MIN_SPREAD = 1 / 65535  # one step of a stored map


class _Components(NamedTuple):
    """The K components of one map at all thresholds.

    Attributes:
        bounds: (K, 4) int, half-open ``xyxy`` in cells.
        levels: (K,) float, thresholds.
        labels: K label images (h, w), one object per threshold.
        ids: (K,) int, the component's label.
    """

    bounds: np.ndarray
    levels: np.ndarray
    labels: list[np.ndarray]
    ids: np.ndarray


@TASK_UTILS.register_module()
class ComponentTreeBoxRule(BoxRule):
    """Box the components that stand out most, whatever threshold they appear at.

    One threshold finds either the pit or the field of scale around it, and breaks a faint scratch into crumbs. Here
    the components at ten thresholds, which nest like a tree (as in MSER, Matas et al. 2004), compete: of each nest
    the one wins whose box holds most excess over the image's median for its size, as in a spatial scan statistic
    (Kulldorff 1997)::

        strength = (mean in box - median) * share ** 0.55 * sqrt(1 - share) / spread

    where ``share`` is that of the box in the image and ``spread`` the mean of the robust standard deviations of the
    image and of its source: faint defects on quiet metal count as much as bright ones on rough metal, and an image
    without anything conspicuous gets no box.

    Args:
        threshold: Smallest strength of a box. Scores are ``strength / (strength + threshold)``, hence at least 0.5.
        smoothing: Standard deviation of the Gaussian that the map is smoothed with, as a part of its shorter side.
        shrink: How far the edges of a box move inwards, as a part of the image's shorter side and by at most 30 % of
            the box: teachers look at neighbourhoods, so their maps reach beyond a defect. Edges on the border of the
            image stay.
    """

    version: ClassVar[int] = 1

    def __init__(self, threshold: float = 0.15, smoothing: float = 0.015, shrink: float = 0.01) -> None:
        if not threshold > 0:
            raise ValueError(f'threshold is the smallest strength of a box and must be > 0, got {threshold}')
        if not 0 <= smoothing <= 0.5:
            raise ValueError('smoothing is a part of the shorter side of the map and lies in [0, 0.5], got '
                             f'{smoothing}')
        if not 0 <= shrink <= 0.5:
            raise ValueError(f'shrink is a part of the shorter side of the image and lies in [0, 0.5], got {shrink}')
        self.threshold, self.smoothing, self.shrink = float(threshold), float(smoothing), float(shrink)

    @property
    def settings(self) -> dict[str, Any]:
        return dict(threshold=self.threshold, smoothing=self.smoothing, shrink=self.shrink)

    def __call__(self, anomaly_map: np.ndarray, image_size: tuple[int, int], context: BoxContext) -> PseudoBoxes:
        check_box_inputs(anomaly_map, image_size)
        smooth = smooth_map(anomaly_map, self.smoothing)
        components = _components(smooth)
        median = np.median(smooth)
        quantiles = context.statistics.quantiles
        source_spread = (quantiles['0.9'] - quantiles['0.5']) / _NORMAL_Q90
        spread = (1.4826 * np.median(np.abs(smooth - median)) + source_spread) / 2
        strengths = _strengths(smooth, components.bounds, median) / max(spread, _MIN_SPREAD)
        boxes, scores, polygons = [], [], []
        for i in _select(components.bounds, strengths, self.threshold):
            mask = components.labels[i] == components.ids[i]
            outline = component_outline(smooth, mask, components.levels[i], image_size)
            outline = shrink_outline(outline, self.shrink * min(image_size), image_size)
            (x1, y1), (x2, y2) = outline.min(0), outline.max(0)
            if min(x2 - x1, y2 - y1) >= 1 and (x2 - x1) * (y2 - y1) >= minimum_area(image_size):
                boxes.append((x1, y1, x2, y2))
                scores.append(strengths[i] / (strengths[i] + self.threshold))
                polygons.append([outline])
        return PseudoBoxes.of(boxes, scores, polygons)


def smooth_map(anomaly_map: np.ndarray, smoothing: float) -> np.ndarray:
    """Smooth a map and, where its grid is needlessly fine for that, shrink it.

    Args:
        anomaly_map: (h, w) float32.
        smoothing: Standard deviation of the Gaussian as a part of the shorter side.

    Returns:
        Float32 of (h, w) or smaller, covering the same image.
    """
    height, width = anomaly_map.shape
    sigma = smoothing * min(height, width)
    factor = int(sigma / 1.5)
    if factor > 1:
        size = (max(1, round(width / factor)), max(1, round(height / factor)))
        anomaly_map, sigma = cv2.resize(anomaly_map, size, interpolation=cv2.INTER_AREA), sigma / factor
    return cv2.GaussianBlur(anomaly_map, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE) if sigma else anomaly_map


def shrink_outline(outline: np.ndarray, distance: float, image_size: tuple[int, int]) -> np.ndarray:
    """Scale an outline so that the edges of its box move inwards, other than those on the border of the image.

    Args:
        outline: (K, 2) float32 ``(x, y)`` in pixels.
        distance: In pixels; cut to 30 % of the box's width or height.
        image_size: (height, width) in pixels.

    Returns:
        (K, 2) float32.
    """
    low, high = outline.min(0).astype(np.float64), outline.max(0).astype(np.float64)
    size = np.maximum(high - low, 1e-9)
    moved = np.minimum(distance, MAX_SHRINK * size)
    new_low = np.where(low > 0, low + moved, low)
    new_high = np.where(high < image_size[::-1], high - moved, high)
    return (new_low + (outline - low) * ((new_high - new_low) / size)).astype(np.float32)


def _components(smooth: np.ndarray) -> _Components:
    rows: list[tuple] = []
    labels_of: list[np.ndarray] = []
    for level in np.unique(np.quantile(smooth, 1 - SHARES))[::-1]:
        labels = label(smooth >= level, connectivity=2)
        sizes = np.bincount(labels.ravel())[1:]
        slices = find_objects(labels)
        largest = np.argsort(-sizes, kind='stable')[:MAX_COMPONENTS]
        for i in largest:
            y, x = slices[i]
            rows.append((x.start, y.start, x.stop, y.stop, i + 1, level))
        labels_of += [labels] * len(largest)
    table = np.array(rows)
    return _Components(table[:, :4].astype(np.int64), table[:, 5], labels_of, table[:, 4].astype(np.int64))


def _strengths(smooth: np.ndarray, bounds: np.ndarray, median: float) -> np.ndarray:
    """Strength of each component, before it is divided by the spread: (K,) float64, >= 0."""
    x1, y1, x2, y2 = bounds.T
    areas = (x2 - x1) * (y2 - y1)
    sums = np.pad(smooth.astype(np.float64), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    means = (sums[y2, x2] - sums[y1, x2] - sums[y2, x1] + sums[y1, x1]) / areas
    shares = areas / smooth.size
    return np.maximum(means - median, 0) * shares ** SIZE_EXPONENT * np.sqrt(1 - shares)


def _select(bounds: np.ndarray, strengths: np.ndarray, threshold: float) -> list[int]:
    """Indices of the components to box, strongest first."""
    floor = max(threshold, RELATIVE_FLOOR * strengths.max(initial=0))
    areas = (bounds[:, 2:] - bounds[:, :2]).prod(1)
    kept: list[int] = []
    left = strengths >= floor
    for i in np.argsort(-strengths, kind='stable'):
        if not left[i] or len(kept) == MAX_BOXES:
            continue
        kept.append(int(i))
        sides = np.minimum(bounds[i, 2:], bounds[:, 2:]) - np.maximum(bounds[i, :2], bounds[:, :2])
        left &= np.clip(sides, 0, None).prod(1) <= MAX_SHARED * np.minimum(areas[i], areas)
    return kept
