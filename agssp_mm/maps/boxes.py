"""Pseudo boxes and what every rule that makes them promises: one calibrated map in, scored boxes out."""
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..teachers.calibrate import Calibration
from .records import SourceStatistics


class PseudoBoxes(NamedTuple):
    """The N pseudo boxes of one image, best first.

    Attributes:
        boxes: (N, 4) float32, half-open ``xyxy`` in pixels of the stored image, inside it, of positive size.
        scores: (N,) float32 in [0, 1], descending.
        polygons: Per box one or more (K, 2) float32 outer outlines ``(x, y)`` of its components, K >= 3, in the same
            pixel coordinates: pixel ``(0, 0)`` covers the square from ``(0, 0)`` to ``(1, 1)``.
    """

    boxes: np.ndarray
    scores: np.ndarray
    polygons: list[list[np.ndarray]]

    @classmethod
    def of(cls, boxes: Sequence[Sequence[float]] | np.ndarray, scores: Sequence[float] | np.ndarray,
           polygons: Sequence[list[np.ndarray]]) -> 'PseudoBoxes':
        """Convert to the promised types and sort by score; boxes of equal score keep their order.

        Args:
            boxes: N times ``(x1, y1, x2, y2)``.
            scores: N numbers in [0, 1].
            polygons: N lists of outlines.
        """
        score_array = np.asarray(scores, np.float32).reshape(-1)
        order = np.argsort(-score_array, kind='stable')
        return cls(boxes=np.asarray(boxes, np.float32).reshape(-1, 4)[order],
                   scores=score_array[order],
                   polygons=[[np.asarray(outline, np.float32) for outline in polygons[i]] for i in order])


@dataclass(frozen=True)
class BoxContext:
    """What a rule may know beyond the map at hand.

    Attributes:
        calibration: Between the raw values of the teacher and the calibrated ones of the store.
        statistics: Of the source that the image belongs to.
    """

    calibration: Calibration
    statistics: SourceStatistics


class BoxRule(ABC):
    """Turns one anomaly map into pseudo boxes; sees neither the image nor its name nor any label."""

    #: Raised whenever the same settings would give other boxes: cached boxes of another version are made anew.
    version: ClassVar[int]

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Constructor arguments that reproduce this rule, as plain JSON values."""

    @abstractmethod
    def __call__(self, anomaly_map: np.ndarray, image_size: tuple[int, int], context: BoxContext) -> PseudoBoxes:
        """Find the pseudo boxes of one image.

        Args:
            anomaly_map: (h, w) float32, calibrated to [0, 1], on the teacher's grid, covering the whole image.
            image_size: (height, width) of the stored image in pixels.
            context: Calibration and statistics that belong to the map.

        Raises:
            ValueError: If the map is not two-dimensional, holds a value outside [0, 1] or NaN, or if the size is
                not positive.
        """


def check_box_inputs(anomaly_map: np.ndarray, image_size: tuple[int, int]) -> None:
    """Refuse what no rule can turn into boxes.

    Raises:
        ValueError: If the map is not two-dimensional and non-empty, holds a value outside [0, 1] or NaN, or if the
            image size is not positive.
    """
    if anomaly_map.ndim != 2 or anomaly_map.size == 0:
        raise ValueError(f'an anomaly map has shape (h, w), got {anomaly_map.shape}')
    # Written so that NaN, which compares false with everything, is refused too.
    if not (anomaly_map.min() >= 0 and anomaly_map.max() <= 1):
        raise ValueError(f'a calibrated anomaly map lies in [0, 1], got {anomaly_map.min()} to {anomaly_map.max()}; '
                         'apply the calibration of its store first')
    if min(image_size) < 1:
        raise ValueError(f'an image size is (height, width) in pixels, got {tuple(image_size)}')


def pairwise_iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of every box with every other one.

    Args:
        boxes: (N, 4), half-open ``xyxy``.
        others: (M, 4), likewise.

    Returns:
        (N, M) float64 in [0, 1]; 0 where both boxes are empty.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    others = np.asarray(others, np.float64).reshape(-1, 4)
    top_left = np.maximum(boxes[:, None, :2], others[None, :, :2])
    bottom_right = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    intersection = np.clip(bottom_right - top_left, 0, None).prod(-1)
    areas, other_areas = ((b[:, 2:] - b[:, :2]).prod(-1) for b in (boxes, others))
    union = areas[:, None] + other_areas[None, :] - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)
