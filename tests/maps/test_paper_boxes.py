"""Each step of the published rule on cases computed by hand; raw = 2 * calibrated throughout."""
import numpy as np
import pytest
from mmengine.registry import TASK_UTILS

from agssp_mm.maps.boxes import BoxContext
from agssp_mm.maps.paper_boxes import PaperBoxRule, minimum_area, suppress
from agssp_mm.maps.records import SourceStatistics
from agssp_mm.teachers.calibrate import Calibration


def find(raw, size=None, mean_peak=1.0, **settings):
    context = BoxContext(Calibration('linear', 2.0), SourceStatistics(1, mean_peak, {}))
    raw = np.asarray(raw, np.float32)
    return PaperBoxRule(**settings)(raw / 2, size or raw.shape, context)


def blocks(shape, *parts):
    """A raw map of zeros with blocks (x1, y1, x2, y2, value)."""
    raw = np.zeros(shape, np.float32)
    for x1, y1, x2, y2, value in parts:
        raw[y1:y2, x1:x2] = value
    return raw


def test_threshold_is_the_mean_peak_less_the_offset_and_strict():
    raw = blocks((30, 40), (2, 3, 10, 9, 0.75), (20, 5, 30, 15, 0.8125))
    assert find(raw, offset=0.25).boxes.tolist() == [[20, 5, 30, 15]]
    assert len(find(raw, offset=0.26).boxes) == 2
    assert len(find(raw, mean_peak=1.25, offset=0.25).boxes) == 0


def test_default_offset_is_a_tenth():
    raw = blocks((30, 40), (2, 3, 10, 9, 0.89), (20, 5, 30, 15, 0.91))
    assert find(raw).boxes.tolist() == [[20, 5, 30, 15]]


def test_scores_are_calibrated_confidences():
    found = find(blocks((30, 40), (2, 3, 10, 9, 1.5), (20, 5, 30, 15, 1.75)))
    assert found.boxes.tolist() == [[20, 5, 30, 15], [2, 3, 10, 9]]
    np.testing.assert_allclose(found.scores, [0.875, 0.75])


def test_raw_map_is_resized_bilinearly_before_the_threshold():
    # The eight columns of the image see 0, 0, 1/8, 3/8, 5/8, 7/8, 1 and 1.
    raw = [[0, 1], [0, 1]]
    assert find(raw, (8, 8), offset=0.5).boxes.tolist() == [[4, 0, 8, 8]]
    assert find(raw, (8, 8), offset=0.625).boxes.tolist() == [[4, 0, 8, 8]]
    assert find(raw, (8, 8), offset=0.63).boxes.tolist() == [[3, 0, 8, 8]]


def test_it_is_the_raw_map_that_is_resized_not_the_calibrated_one():
    # Halfway between raw 0 and 1 lies 0.5; halfway between the calibrated 0 and 0.75 lies a raw 0.6 / 3 instead.
    calibration = Calibration('log-logistic', 1 / 3)
    context = BoxContext(calibration, SourceStatistics(1, 1.0, {}))
    found = PaperBoxRule(offset=0.5)(calibration.apply(np.array([[0, 1], [0, 1]])), (8, 8), context)
    assert found.boxes.tolist() == [[4, 0, 8, 8]]
    np.testing.assert_allclose(found.scores, [0.75], rtol=1e-5)


@pytest.mark.parametrize('size, area', [((99, 5000), 10), ((300, 399), 10), ((400, 399), 12), ((1000, 1000), 100)])
def test_minimum_area(size, area):
    assert minimum_area(size) == area


@pytest.mark.parametrize('width, height, kept', [(4, 4, False), (3, 6, True), (2, 10, False), (2, 11, True)])
def test_polygon_area_of_a_block_is_one_pixel_less_on_each_side(width, height, kept):
    found = find(blocks((30, 40), (5, 6, 5 + width, 6 + height, 1)))
    assert found.boxes.tolist() == ([[5, 6, 5 + width, 6 + height]] if kept else [])


def test_minimum_area_grows_with_the_image():
    found = find(blocks((1000, 1000), (10, 10, 21, 21, 1), (100, 100, 111, 110, 1)))
    assert found.boxes.tolist() == [[10, 10, 21, 21]]


def test_outer_contours_only():
    ring_with_a_core = blocks((40, 40), (5, 5, 35, 35, 1), (10, 10, 30, 30, 0), (15, 15, 25, 25, 1.5))
    found = find(ring_with_a_core)
    assert found.boxes.tolist() == [[5, 5, 35, 35]]


def test_confidence_is_the_peak_in_the_rectangle_not_in_the_region():
    angle_with_a_dot = blocks((40, 40), (5, 5, 35, 10, 1), (5, 5, 10, 35, 1), (20, 20, 22, 22, 1.5))
    found = find(angle_with_a_dot)
    assert found.boxes.tolist() == [[5, 5, 35, 35]]
    np.testing.assert_allclose(found.scores, [0.75])


def test_ten_most_confident_are_kept():
    parts = [(10 * i, 5, 10 * i + 6, 15, 1 + i / 16) for i in range(12)]
    found = find(blocks((30, 130), *parts))
    assert found.boxes[:, 0].tolist() == [10 * i for i in range(11, 1, -1)]


def test_suppression_drops_what_reaches_the_threshold():
    assert suppress(np.array([(0, 0, 10, 10), (0, 0, 10, 8)]), 0.8).tolist() == [0]
    assert suppress(np.array([(0, 0, 10, 10), (0, 0, 10, 7)]), 0.8).tolist() == [0, 1]
    # the second is dropped and so cannot drop the third
    assert suppress(np.array([(0, 0, 10, 10), (0, 0, 10, 9), (0, 0, 10, 7.5)]), 0.8).tolist() == [0, 2]
    assert suppress(np.zeros((0, 4)), 0.8).tolist() == []


def test_published_suppression_deletes_boxes_that_do_not_touch():
    # Equal x-extent, y centres 0.80 and 0.90: read as (class, x centre, y centre, width) their IoU is 8 / 9.
    raw = blocks((100, 100), (10, 76, 40, 84, 1.5), (10, 86, 40, 94, 1.25))
    assert find(raw).boxes.tolist() == [[10, 76, 40, 84], [10, 86, 40, 94]]
    assert find(raw, compat_nms=True).boxes.tolist() == [[10, 76, 40, 84]]


def test_published_suppression_comes_after_the_cut():
    columns = [(12 * i, 5, 12 * i + 6, 15, 1 + i / 16) for i in range(10)]
    raw = blocks((100, 130), (110, 76, 125, 84, 2), (110, 86, 125, 94, 1.9), *columns)
    found = find(raw, compat_nms=True)
    assert len(found.boxes) == 9  # of twelve the ten best, of those nine: the eleventh does not step in


def test_outlines_run_through_the_centres_of_the_border_pixels():
    found = find(blocks((30, 40), (20, 5, 30, 15, 1)))
    (outline, ), = found.polygons
    assert sorted(map(tuple, outline.tolist())) == [(20.5, 5.5), (20.5, 14.5), (29.5, 5.5), (29.5, 14.5)]


def test_nothing_above_the_threshold_gives_no_box():
    found = find(np.zeros((15, 15)), (60, 80))
    assert found.boxes.shape == (0, 4) and found.scores.shape == (0, ) and found.polygons == []


def test_settings_reproduce_the_rule():
    rule = TASK_UTILS.build(dict(type='PaperBoxRule', offset=0.35, compat_nms=True))
    assert rule.settings == dict(offset=0.35, compat_nms=True)
    assert PaperBoxRule(**rule.settings).settings == rule.settings
    with pytest.raises(ValueError, match='offset .* must be >= 0, got -0.1'):
        PaperBoxRule(offset=-0.1)
