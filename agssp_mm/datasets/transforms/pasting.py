"""What transforms that paste onto images share: room between the boxes, and boxes and masks of what was pasted."""
from collections.abc import Callable
from typing import Any, TypeVar

import cv2
import numpy as np
import torch

from ..synthetic.image import boxes_of

_FEWEST_PIXELS = 24  # what has fewer is drawn again
_LEAST_CHANGE = 2.0  # grey values of 255; what changes less, on black or overexposed metal, no detector can find
_TRIES = 6  # per piece; a crowded image stays as it is

Piece = TypeVar('Piece')


def place(draw: Callable[[], tuple[Piece, np.ndarray]], wanted: int, boxes: np.ndarray,
          max_overlap: float) -> list[Piece]:
    """Draw pieces until so many keep away from the boxes and from each other, or there is no room.

    Args:
        draw: Makes one piece at a random place, and says how much of each pixel it covers: (H, W) in [0, 1].
        wanted: Number of pieces.
        boxes: (N, 4) xyxy in pixels.
        max_overlap: Largest share that a piece may cover of a box, or a box of it, in [0, 1].
    """
    chosen: list[Piece] = []
    for _ in range(_TRIES * wanted):
        piece, support = draw()
        mask = support > 0.5
        if mask.sum() < _FEWEST_PIXELS:
            continue
        box = boxes_of(mask[None])
        if _largest_overlap(box[0], boxes) <= max_overlap:
            boxes = np.concatenate([boxes, box])
            chosen.append(piece)
        if len(chosen) == wanted:
            break
    return chosen


def is_seen(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> bool:
    """Whether what was pasted changes its pixels by enough, on average, to be worth a box.

    Args:
        before: (H, W) or (H, W, C) in [0, 255].
        after: Likewise.
        mask: (H, W) bool, the pixels of the piece.
    """
    return float(np.abs(after[mask].astype(np.float32) - before[mask]).mean()) >= _LEAST_CHANGE


def _largest_overlap(box: np.ndarray, others: np.ndarray) -> float:
    """Largest share that a box covers of another, or another of it, in [0, 1]; 0 without others."""
    if not len(others):
        return 0.0
    sides = np.minimum(others[:, 2:], box[2:]) - np.maximum(others[:, :2], box[:2])
    common = sides.clip(0).prod(axis=1)
    smaller = np.minimum((others[:, 2:] - others[:, :2]).prod(axis=1), (box[2:] - box[:2]).prod())
    return float((common / np.maximum(smaller, 1e-6)).max())


def add_boxes(results: dict[str, Any], masks: np.ndarray, labels: list[int]) -> None:
    """Add what was pasted to the boxes of an image, and to its masks where it has any.

    Args:
        results: With the keys of MMDetection's ``LoadAnnotations``; changed.
        masks: (N, H, W) bool, the pixels of each, none of them empty.
        labels: N classes.
    """
    known, count = results['gt_bboxes'], len(masks)
    results['gt_bboxes'] = type(known)(torch.cat([known.tensor, torch.from_numpy(boxes_of(masks))]))
    results['gt_bboxes_labels'] = np.append(results['gt_bboxes_labels'], np.array(labels, np.int64))
    results['gt_ignore_flags'] = np.append(results['gt_ignore_flags'], np.zeros(count, bool))
    if 'gt_masks' in results:
        there = results['gt_masks']
        results['gt_masks'] = type(there).cat([there, _as_masks(masks, there)])


def _as_masks(masks: np.ndarray, like: Any) -> Any:
    """The masks in the form, bitmaps or polygons, of those that are there."""
    if hasattr(like, 'to_bitmap'):  # polygons
        return type(like)([_outlines(mask) for mask in masks], *masks.shape[1:])
    return type(like)(masks.astype(np.uint8), *masks.shape[1:])


def _outlines(mask: np.ndarray) -> list[np.ndarray]:
    """Outer edges of the pixels, not the lines through their centres: exact, and thin parts keep their area.

    OpenCV joins the centres of border pixels. With each pixel twice as long, the first half of one lies at its near
    edge, the second at its far one.
    """
    doubled = mask.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    parts = cv2.findContours(doubled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
    edges = [(part[:, 0] + 1) // 2 for part in parts]
    corners = [edge[(edge != np.roll(edge, 1, axis=0)).any(axis=1)] for edge in edges]
    return [corner.reshape(-1).astype(np.float64) for corner in corners]
