"""The published rule for pseudo boxes: one threshold per source on raw values, outer contours."""
from typing import Any, ClassVar

import cv2
import numpy as np
from mmengine.registry import TASK_UTILS

from .boxes import BoxContext, BoxRule, PseudoBoxes, check_box_inputs, pairwise_iou

MAX_BOXES = 10
NMS_IOU = 0.8


@TASK_UTILS.register_module()
class PaperBoxRule(BoxRule):
    """Threshold a raw map at the mean peak of its source less an offset and box the outer contours.

    Source: arXiv 2509.18919 and its published code, https://github.com/clovermini/AGSSP, file
    ``KeAD/generate_yolo_box_from_anomaly.py``. At most ten boxes per image are kept, then those that overlap a better
    one by an IoU of 0.8 or more are dropped. The scores are the calibrated confidences; the order is that of the raw
    ones.

    Args:
        offset: What is subtracted from the mean over the images of the highest raw value, on the raw scale.
            The published 0.1 belongs to maps in [0, 2].
        compat_nms: Suppress as the published code does: it reads (class, x centre, y centre, width) as a box's
            (x centre, y centre, width, height), so it deletes boxes that do not touch and keeps some that do.
    """

    version: ClassVar[int] = 1

    def __init__(self, offset: float = 0.1, compat_nms: bool = False) -> None:
        if not offset >= 0:
            raise ValueError(f'offset is subtracted from the mean peak and must be >= 0, got {offset}')
        self.offset = float(offset)
        self.compat_nms = bool(compat_nms)

    @property
    def settings(self) -> dict[str, Any]:
        return dict(offset=self.offset, compat_nms=self.compat_nms)

    def __call__(self, anomaly_map: np.ndarray, image_size: tuple[int, int], context: BoxContext) -> PseudoBoxes:
        check_box_inputs(anomaly_map, image_size)
        height, width = image_size
        raw: np.ndarray = context.calibration.invert(anomaly_map).astype(np.float32, copy=False)
        raw = cv2.resize(raw, (width, height), interpolation=cv2.INTER_LINEAR)
        contours = _large_contours(raw > context.statistics.mean_peak - self.offset)
        boxes = np.array([_bounds(contour) for contour in contours], np.int64).reshape(-1, 4)
        confidences = np.array([raw[y1:y2, x1:x2].max() for x1, y1, x2, y2 in boxes], np.float32)
        best = np.argsort(-confidences, kind='stable')[:MAX_BOXES]
        fields = _misread_fields(boxes[best], image_size) if self.compat_nms else boxes[best]
        kept = best[suppress(fields, NMS_IOU)]
        # A calibration may map several raw values to one, so sorting by score again must not reorder: it is stable.
        return PseudoBoxes.of(boxes[kept], context.calibration.apply(confidences[kept]),
                              [[contours[i] + 0.5] for i in kept])


def minimum_area(image_size: tuple[int, int]) -> int:
    """Smallest polygon area in square pixels that the published rule keeps, for an image of (height, width)."""
    height, width = image_size
    return max((height // 100) * (width // 100), 10)


def suppress(boxes: np.ndarray, threshold: float) -> np.ndarray:
    """Greedy non-maximum suppression.

    Args:
        boxes: (N, 4) ``xyxy``, best first.
        threshold: A box whose IoU with a kept one reaches this is dropped (mmcv's and torchvision's operators drop
            only what exceeds it, and round to float32).

    Returns:
        Indices of the kept boxes, ascending.
    """
    overlaps = pairwise_iou(boxes, boxes) >= threshold
    kept: list[int] = []
    for i in range(len(boxes)):
        if not overlaps[i, kept].any():
            kept.append(i)
    return np.array(kept, np.int64)


def _large_contours(mask: np.ndarray) -> list[np.ndarray]:
    """Outer contours of at least the minimum area, as (K, 2) pixel indices ``(x, y)``."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    smallest = minimum_area(mask.shape)
    return [contour[:, 0] for contour in contours if cv2.contourArea(contour) >= smallest]


def _bounds(contour: np.ndarray) -> tuple[int, int, int, int]:
    x, y, width, height = cv2.boundingRect(contour)
    return x, y, x + width, y + height


def _misread_fields(boxes: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Boxes as the published suppression sees them: centre (class 0, x centre), size (y centre, width), relative."""
    height, width = image_size
    x_centre = (boxes[:, 0] + boxes[:, 2]) / 2 / width
    y_centre = (boxes[:, 1] + boxes[:, 3]) / 2 / height
    box_width = (boxes[:, 2] - boxes[:, 0]) / width
    return np.stack([-y_centre / 2, x_centre - box_width / 2, y_centre / 2, x_centre + box_width / 2], axis=1)
