import numpy as np
import pytest
from mmengine.registry import TASK_UTILS
from scipy.ndimage import gaussian_filter

from agssp_mm.maps.boxes import BoxContext, pairwise_iou
from agssp_mm.maps.component_tree_boxes import MAX_BOXES, SHARES, ComponentTreeBoxRule, shrink_outline, smooth_map
from agssp_mm.maps.records import SourceStatistics
from agssp_mm.teachers.calibrate import Calibration

CONTEXT = BoxContext(Calibration('linear', 1.0), SourceStatistics(1, 1.0, {'0.5': 0.1, '0.9': 0.22816}))


def noisy_map(seed=0, size=(64, 64), noise=0.02):
    """Smooth texture around 0.1, much quieter than the source (its standard deviation is 0.1)."""
    noise = noise * np.random.default_rng(seed).standard_normal(size)
    return np.clip(0.1 + gaussian_filter(noise, 1.5), 0, 1).astype(np.float32)


def add_blob(anomaly_map, x, y, sigma_x, sigma_y, height):
    rows, columns = np.mgrid[:anomaly_map.shape[0], :anomaly_map.shape[1]] + 0.5
    blob = height * np.exp(-((columns - x) / sigma_x)**2 / 2 - ((rows - y) / sigma_y)**2 / 2)
    return np.clip(anomaly_map + blob, 0, 1).astype(np.float32)


def find(anomaly_map, size=None, context=CONTEXT, shrink=0.0, **settings):
    return ComponentTreeBoxRule(shrink=shrink, **settings)(anomaly_map, size or anomaly_map.shape, context)


def best_iou(found, box):
    return pairwise_iou(found.boxes, [box]).max(initial=0)


def test_pit_and_field_in_one_image_both_get_their_box():
    anomaly_map = add_blob(add_blob(noisy_map(), 10, 12, 1.5, 1.5, 0.8), 42, 40, 9, 9, 0.25)
    found = find(anomaly_map)
    assert len(found.boxes) == 2
    assert best_iou(found, (7, 9, 13, 15)) > 0.5  # two standard deviations each way
    assert best_iou(found, (28, 26, 56, 54)) > 0.5


def test_crumbs_of_one_defect_share_a_box():
    anomaly_map = noisy_map()
    for x in range(14, 52, 6):  # a scratch whose map breaks into dots
        anomaly_map = add_blob(anomaly_map, x, 32, 2.0, 2.0, 0.5)
    found = find(anomaly_map)
    assert len(found.boxes) == 1
    assert best_iou(found, (11, 29, 53, 35)) > 0.5


def test_map_without_anything_conspicuous_gets_no_box():
    for anomaly_map in (noisy_map(), np.zeros((64, 64), np.float32), np.ones((8, 8), np.float32),
                        np.full((1, 1), 0.3, np.float32)):
        found = find(anomaly_map)
        assert found.boxes.shape == (0, 4) and found.polygons == []


def test_faint_defect_counts_on_quiet_metal_only():
    faint = add_blob(noisy_map(), 32, 32, 4, 4, 0.08)
    assert len(find(faint).boxes) == 0
    assert len(find(faint, threshold=0.1).boxes) == 1
    quiet_source = BoxContext(CONTEXT.calibration, SourceStatistics(1, 1.0, {'0.5': 0.1, '0.9': 0.12}))
    assert len(find(faint, context=quiet_source).boxes) == 1  # relative to the source
    rough = add_blob(noisy_map(noise=1.5), 32, 32, 4, 4, 0.08)
    assert best_iou(find(rough, context=quiet_source, threshold=0.5), (24, 24, 40, 40)) < 0.3  # relative to the image


def test_strength_is_the_documented_one():
    # A plateau of 0.5 on 0.1: without smoothing the only component short of the whole map is the plateau itself.
    anomaly_map = np.full((20, 20), 0.1, np.float32)
    anomaly_map[4:9, 2:12] = 0.5
    share, spread = 50 / 400, 0.05  # the image's own spread is zero, its source's 0.1
    strength = 0.4 * share**0.55 * (1 - share)**0.5 / spread
    found = find(anomaly_map, (40, 60), smoothing=0.0)
    np.testing.assert_allclose(found.scores, [strength / (strength + 0.15)], rtol=1e-4)
    np.testing.assert_allclose(found.boxes, [(6, 8, 36, 18)], atol=0.01 + 1.5)
    assert len(find(anomaly_map, (40, 60), smoothing=0.0, threshold=strength * 1.001).boxes) == 0
    assert len(find(anomaly_map, (40, 60), smoothing=0.0, threshold=strength * 0.999).boxes) == 1


def test_boxes_keep_apart_are_sorted_and_capped():
    anomaly_map = noisy_map(size=(128, 128))
    for i in range(25):
        anomaly_map = add_blob(anomaly_map, 14 + 25 * (i % 5), 14 + 25 * (i // 5), 2, 2, 0.6 + 0.01 * i)
    found = find(anomaly_map, (256, 256), threshold=0.1)
    assert len(found.boxes) == MAX_BOXES
    assert (np.diff(found.scores) <= 0).all() and (found.scores >= 0.5).all() and (found.scores < 1).all()
    assert (pairwise_iou(found.boxes, found.boxes) - np.eye(MAX_BOXES)).max() < 1 / 3


def test_much_weaker_than_the_strongest_is_dropped():
    anomaly_map = add_blob(add_blob(noisy_map(), 16, 16, 4, 4, 0.85), 46, 46, 3, 3, 0.13)
    assert len(find(anomaly_map, threshold=0.01).boxes) == 1
    alone = add_blob(noisy_map(), 46, 46, 3, 3, 0.13)
    assert best_iou(find(alone, threshold=0.01), (41, 41, 51, 51)) > 0.5


@pytest.mark.parametrize('grid, size', [((64, 64), (200, 200)), ((15, 15), (1000, 2048)), ((90, 128), (45, 64)),
                                        ((400, 300), (400, 300))])
def test_boxes_and_outlines_lie_in_the_image_on_any_grid(grid, size):
    anomaly_map = noisy_map(1, grid)
    anomaly_map = add_blob(anomaly_map, grid[1], grid[0] / 2, grid[1] / 12, grid[0] / 8, 0.7)  # cut by the right border
    found = find(anomaly_map, size)
    height, width = size
    assert len(found.boxes) >= 1
    x1, y1, x2, y2 = found.boxes[0]
    assert x2 == pytest.approx(width) and x1 > width / 2 and 0 < y1 < height / 2 < y2 < height
    for box, (outline, ) in zip(found.boxes, found.polygons, strict=True):
        assert outline.shape[0] >= 3 and outline.dtype == np.float32
        np.testing.assert_array_equal((*outline.min(0), *outline.max(0)), box)


def test_edges_move_inwards_but_not_from_the_border():
    outline = np.array([(10, 10), (50, 10), (50, 20), (30, 15), (10, 20)], np.float32)
    np.testing.assert_allclose(shrink_outline(outline, 2, (100, 100)),
                               [(12, 12), (48, 12), (48, 18), (30, 15), (12, 18)])
    np.testing.assert_allclose(shrink_outline(outline, 9, (100, 100))[:, 1], [13, 13, 17, 15, 17])  # 30 % of 10 pixels
    at_corner = shrink_outline(outline - 10, 2, (100, 40))
    np.testing.assert_allclose((*at_corner.min(0), *at_corner.max(0)), (0, 0, 40, 8))


def test_boxes_are_shrunk_with_their_outlines():
    anomaly_map = add_blob(noisy_map(), 30, 30, 5, 5, 0.5)
    whole, shrunk = find(anomaly_map, (640, 640), shrink=0.0), find(anomaly_map, (640, 640), shrink=0.02)
    np.testing.assert_allclose(shrunk.boxes - whole.boxes, [[12.8, 12.8, -12.8, -12.8]], atol=1e-3)
    np.testing.assert_array_equal(shrunk.polygons[0][0].max(0), shrunk.boxes[0, 2:])


def test_needlessly_fine_grids_are_shrunk():
    assert smooth_map(np.zeros((1000, 1500), np.float32), 0.015).shape == (100, 150)
    assert smooth_map(np.zeros((128, 128), np.float32), 0.015).shape == (128, 128)
    flat = np.full((1000, 1500), 0.25, np.float32)
    np.testing.assert_allclose(smooth_map(flat, 0.015), 0.25, rtol=1e-6)


def test_smallest_share_is_a_pit():
    assert SHARES.min() == pytest.approx(0.002) and SHARES.max() == pytest.approx(0.4)


def test_same_input_same_bytes():
    anomaly_map = add_blob(noisy_map(), 30, 30, 5, 3, 0.5)
    first, second = find(anomaly_map), find(anomaly_map.copy())
    assert first.boxes.tobytes() == second.boxes.tobytes() and first.scores.tobytes() == second.scores.tobytes()


def test_settings_reproduce_the_rule_and_bad_ones_are_refused():
    rule = TASK_UTILS.build(dict(type='ComponentTreeBoxRule', threshold=0.3, smoothing=0.02, shrink=0.0))
    assert rule.settings == dict(threshold=0.3, smoothing=0.02, shrink=0.0)
    with pytest.raises(ValueError, match='threshold .* must be > 0, got 0'):
        ComponentTreeBoxRule(threshold=0)
    with pytest.raises(ValueError, match=r'smoothing .* lies in \[0, 0.5\], got 2'):
        ComponentTreeBoxRule(smoothing=2)
    with pytest.raises(ValueError, match=r'shrink .* lies in \[0, 0.5\], got -1'):
        ComponentTreeBoxRule(shrink=-1)
    with pytest.raises(ValueError, match=r'lies in \[0, 1\]'):
        find(np.full((4, 4), np.nan, np.float32))
