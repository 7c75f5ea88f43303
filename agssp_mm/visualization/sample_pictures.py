"""What a pipeline feeds a model, as pictures."""
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .overlays import draw_boxes, overlay_map


def input_picture(inputs: Tensor) -> np.ndarray:
    """The pixels of one input, before the model's own normalisation.

    Args:
        inputs: (C, H, W), one or three channels, BGR: uint8, or floating (stretched to its own range).

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        ValueError: If it is no image.
    """
    if inputs.ndim != 3 or inputs.shape[0] not in (1, 3):
        raise ValueError(f'an input image is (1 or 3, H, W), got shape {tuple(inputs.shape)}')
    image = inputs.detach().cpu().float()
    if inputs.is_floating_point() and (image.min() < 0 or image.max() > 255 or image.max() <= 1.5):
        image = 255 * (image - image.min()) / (image.max() - image.min()).clamp_min(1e-12)
    pixels = image.round().clamp(0, 255).to(torch.uint8).expand(3, -1, -1).permute(1, 2, 0).numpy()
    return np.ascontiguousarray(pixels)


def map_of(sample: Any) -> np.ndarray | None:
    """The anomaly map that a data sample carries: (H, W) float32; None without. It is left where it is."""
    value = sample.gt_sem_seg.sem_seg if 'gt_sem_seg' in sample else sample.get('gt_seg_map')
    if isinstance(value, (list, tuple)):  # one per view
        value = value[0]
    if value is None:
        return None
    value = np.asarray(value.cpu() if isinstance(value, Tensor) else value)
    value = value[0] if value.ndim == 3 else value
    return value.astype(np.float32) if np.issubdtype(value.dtype, np.floating) else None


def boxes_of(sample: Any) -> np.ndarray | None:
    """The boxes that a data sample is to be trained on: (N, 4) half-open xyxy, pixels of the input; None without."""
    if 'gt_instances' not in sample or 'bboxes' not in sample.gt_instances:
        return None
    boxes = sample.gt_instances.bboxes
    return getattr(boxes, 'tensor', boxes).detach().cpu().numpy().reshape(-1, 4)


def sample_pictures(inputs: Tensor, sample: Any, kind: str = 'pseudo box') -> dict[str, np.ndarray]:
    """An input with what it carries: ``map`` (the anomaly map laid over it) and ``boxes``, as far as they are there.

    Args:
        inputs: (C, H, W), see :func:`input_picture`.
        sample: Its data sample.
        kind: What the boxes are, a key of ``BOX_COLOURS``.

    Returns:
        Name -> (H, W, 3) uint8 BGR.
    """
    picture, anomaly, boxes = input_picture(inputs), map_of(sample), boxes_of(sample)
    pictures = {}
    if anomaly is not None:
        height, width = anomaly.shape
        covered = picture[:height, :width]
        laid = picture.copy()
        laid[:height, :width] = overlay_map(np.ascontiguousarray(covered), anomaly)
        pictures['map'] = laid if boxes is None else draw_boxes(laid, boxes, kind)
    if boxes is not None:
        pictures['boxes'] = draw_boxes(picture, boxes, kind)
    return pictures
