import numpy as np
import pytest

from agssp_mm.maps.outlines import component_outline


def area(outline):
    x, y = outline.astype(np.float64).T
    return abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2


def test_outline_lies_where_the_interpolated_map_crosses_the_level():
    # Columns 0, 1, 0.5, 0: centres at x = 4, 12, 20, 28; the line x -> 0.25 crosses at 6 and 24, above 0.75
    # at 10 and 16.
    anomaly_map = np.tile([0, 1, 0.5, 0], (4, 1))
    outline = component_outline(anomaly_map, anomaly_map > 0.25, 0.25, (32, 32))
    np.testing.assert_allclose((*outline.min(0), *outline.max(0)), (6, 0, 24, 32), atol=1e-3)
    outline = component_outline(anomaly_map, anomaly_map > 0.75, 0.75, (32, 32))
    np.testing.assert_allclose((*outline.min(0), *outline.max(0)), (10, 0, 16, 32), atol=1e-3)


def test_other_components_and_holes_are_left_out():
    anomaly_map = np.zeros((20, 20))
    anomaly_map[2:9, 2:9] = 1
    anomaly_map[5, 5] = 0
    anomaly_map[2:9, 12:18] = 1
    component = anomaly_map > 0.5
    component[:, 10:] = False
    outline = component_outline(anomaly_map, component, 0.5, (20, 20))
    np.testing.assert_allclose((*outline.min(0), *outline.max(0)), (2, 2, 9, 9), atol=1e-3)
    assert area(outline) == pytest.approx(49, abs=1.5)  # cut corners, no hole


def test_map_that_is_all_component_gives_the_image():
    outline = component_outline(np.ones((1, 1)), np.ones((1, 1), bool), 0.5, (30, 60))
    assert outline.dtype == np.float32 and outline.shape[0] >= 3
    assert (*outline.min(0), *outline.max(0)) == (0, 0, 60, 30)


def test_cells_that_touch_at_a_corner_share_one_outline():
    anomaly_map = np.zeros((6, 6))
    anomaly_map[1:3, 1:3] = anomaly_map[3:5, 3:5] = 1
    outline = component_outline(anomaly_map, anomaly_map > 0.5, 0.5, (6, 6))
    np.testing.assert_allclose((*outline.min(0), *outline.max(0)), (1, 1, 5, 5), atol=1e-3)


def test_smooth_blob_keeps_its_area():
    y, x = np.mgrid[:40, :40] - 19.5
    anomaly_map = np.exp(-(x**2 + y**2) / 200)
    level = np.exp(-0.5)  # radius 10 cells, 50 pixels
    outline = component_outline(anomaly_map, anomaly_map >= level, level, (200, 200))
    assert area(outline) == pytest.approx(np.pi * 2500, rel=0.02)
    assert len(outline) < 40
