"""Smooth random fields and anti-aliased strokes: what the procedural surfaces and defects are drawn with."""
from collections.abc import Sequence

import cv2
import numpy as np

_SUPERSAMPLING = 3


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], sigma: tuple[float, float]) -> np.ndarray:
    """Draw Gaussian noise smoothed by an axis-aligned Gaussian kernel.

    Long correlation lengths are drawn on a coarser grid and enlarged: the time does not grow with ``sigma``.

    Args:
        rng: Source of randomness.
        shape: (height, width) of the field, pixels.
        sigma: Standard deviations (y, x) of the kernel, pixels, each > 0.

    Returns:
        (height, width) float32 with mean 0 and standard deviation 1.
    """
    steps = [max(1.0, s / 2.0) for s in sigma]
    coarse = [int(np.ceil(n / step)) + 8 for n, step in zip(shape, steps, strict=True)]
    field: np.ndarray = rng.standard_normal(coarse, dtype=np.float32)
    field = cv2.GaussianBlur(field, (0, 0), sigmaX=sigma[1] / steps[1], sigmaY=sigma[0] / steps[0])
    enlarged = (int(np.ceil(coarse[1] * steps[1])), int(np.ceil(coarse[0] * steps[0])))
    if enlarged != (coarse[1], coarse[0]):
        field = cv2.resize(field, enlarged, interpolation=cv2.INTER_CUBIC)
    top, left = (field.shape[0] - shape[0]) // 2, (field.shape[1] - shape[1]) // 2
    return standardise(field[top:top + shape[0], left:left + shape[1]])


def standardise(field: np.ndarray) -> np.ndarray:
    """Shift and scale a field to mean 0 and standard deviation 1; float32, same shape."""
    return ((field - field.mean()) / (field.std() + 1e-6)).astype(np.float32)


def rotated_noise(rng: np.random.Generator, shape: tuple[int, int], sigma: tuple[float, float],
                  angle: float) -> np.ndarray:
    """Draw smoothed noise whose second axis runs along a direction.

    Args:
        rng: Source of randomness.
        shape: (height, width) of the field, pixels.
        sigma: Standard deviations (across, along) of the kernel, pixels.
        angle: Direction of "along", radians, 0 = to the right, counted towards the bottom.

    Returns:
        (height, width) float32 with mean 0 and standard deviation 1.
    """
    height, width = shape
    side = int(np.ceil(np.hypot(height, width))) + 2
    field = smooth_noise(rng, (side, side), sigma)
    cos, sin = np.cos(angle), np.sin(angle)
    # inverse map: target pixel -> pixel of the axis-aligned field, both counted from their centres
    matrix = np.array([[cos, sin, side / 2 - cos * width / 2 - sin * height / 2],
                       [-sin, cos, side / 2 + sin * width / 2 - cos * height / 2]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    turned = cv2.warpAffine(field, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return standardise(turned)


def draw_stroke(shape: tuple[int, int], points: np.ndarray,
                widths: Sequence[float] | np.ndarray) -> np.ndarray:
    """Draw an anti-aliased polyline whose width varies.

    Args:
        shape: (height, width) of the canvas, pixels.
        points: (K, 2) vertices (x, y), pixels, K >= 2; may leave the canvas.
        widths: K - 1 widths, one per segment, pixels; below a third of a pixel they fade instead of thinning.

    Returns:
        (height, width) float32 coverage in [0, 1].
    """
    scale = _SUPERSAMPLING
    canvas = np.zeros((shape[0] * scale, shape[1] * scale), np.uint8)
    corners = np.round(points * scale).astype(int)
    for start, end, width in zip(corners[:-1], corners[1:], widths, strict=True):
        level = int(round(255 * min(1.0, width * scale)))
        # OpenCV draws thick lines about one pixel thicker than it is told
        thickness = max(1, int(round(width * scale)) - 1)
        cv2.line(canvas, tuple(map(int, start)), tuple(map(int, end)), level, thickness)
    small = cv2.resize(canvas, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255.0
