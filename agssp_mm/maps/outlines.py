"""Outlines of the components of a thresholded map, in pixels of the image."""
import cv2
import numpy as np
from skimage.measure import find_contours

#: How far, in cells of the map, a simplified outline may lie from the level line.
TOLERANCE = 0.15
_STEP = 1e-6  # far below the steps of a stored map, which are 1 / 65535


def component_outline(anomaly_map: np.ndarray, component: np.ndarray, level: float,
                      image_size: tuple[int, int]) -> np.ndarray:
    """Trace the outer level line of one component, finer than the grid of the map.

    The line runs where the map, interpolated between the centres of its cells, crosses the level; at the border of the
    map it runs along the border of the image. Holes are left out.

    Args:
        anomaly_map: (h, w) float.
        component: (h, w) bool, not empty: an 8-connected set of cells of at least ``level`` whose other neighbours lie
            below it.
        level: Threshold of the component.
        image_size: (height, width) in pixels.

    Returns:
        (K, 2) float32 ``(x, y)`` in pixels of the image and inside it, K >= 3, not closed.
    """
    rows, columns = np.flatnonzero(component.any(1)), np.flatnonzero(component.any(0))
    window = np.s_[rows[0]:rows[-1] + 3, columns[0]:columns[-1] + 3]  # one more cell on each side, after padding
    # Beyond the map there is no value: one just below the level puts the crossing as far out as can be, to be clipped.
    below = float(level) - 2 * _STEP
    values = np.pad(anomaly_map.astype(np.float64), 1, constant_values=below)[window]
    inside = np.pad(component, 1)[window]
    field = np.where(inside, values, np.minimum(values, below))
    lines = find_contours(field, level - _STEP, fully_connected='high')
    outer = max(lines, key=lambda line: np.ptp(line, axis=0).sum())
    # OpenCV's form of Douglas-Peucker knows closed curves and takes 0.01 ms where scikit-image's takes 5.
    simple = cv2.approxPolyDP(outer[:-1, None].astype(np.float32), TOLERANCE, closed=True)[:, 0]
    outer = simple if len(simple) >= 3 else outer[:-1]
    return _to_pixels(outer + (rows[0] - 1, columns[0] - 1), anomaly_map.shape, image_size)


def _to_pixels(points: np.ndarray, grid: tuple[int, int], image_size: tuple[int, int]) -> np.ndarray:
    """Cell indices ``(row, column)`` to clipped pixel coordinates ``(x, y)``; both cover the same image."""
    scaled = np.clip((points + 0.5) * (np.array(image_size) / grid), 0, image_size)
    return scaled[:, ::-1].astype(np.float32)
