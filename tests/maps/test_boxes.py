import numpy as np
import pytest

from agssp_mm.maps.boxes import PseudoBoxes, check_box_inputs, pairwise_iou


def test_of_sorts_by_score_and_keeps_the_order_of_equals():
    triangles = [np.array([[0, 0], [i, 0], [0, i]]) for i in (1, 2, 3)]
    found = PseudoBoxes.of([(0, 0, 1, 1), (0, 0, 2, 2), (0, 0, 3, 3)], [0.25, 0.5, 0.5],
                           [[triangle] for triangle in triangles])
    assert found.boxes.tolist() == [[0, 0, 2, 2], [0, 0, 3, 3], [0, 0, 1, 1]]
    assert found.scores.tolist() == [0.5, 0.5, 0.25]
    assert [group[0].max() for group in found.polygons] == [2, 3, 1]
    assert found.boxes.dtype == found.scores.dtype == found.polygons[0][0].dtype == np.float32


def test_of_nothing_has_the_promised_shapes():
    found = PseudoBoxes.of([], [], [])
    assert found.boxes.shape == (0, 4) and found.scores.shape == (0, ) and found.polygons == []


@pytest.mark.parametrize('anomaly_map, size, message', [
    (np.zeros((2, 2, 1)), (4, 4), r'shape \(h, w\), got \(2, 2, 1\)'),
    (np.zeros((0, 2)), (4, 4), r'got \(0, 2\)'),
    (np.array([[0.0, 1.5]]), (4, 4), r'lies in \[0, 1\], got 0.0 to 1.5'),
    (np.array([[-0.1, 0.5]]), (4, 4), r'lies in \[0, 1\]'),
    (np.array([[np.nan, 0.5]]), (4, 4), r'lies in \[0, 1\], got nan'),
    (np.zeros((2, 2)), (0, 4), r'\(height, width\) in pixels, got \(0, 4\)'),
])
def test_bad_input_is_refused(anomaly_map, size, message):
    with pytest.raises(ValueError, match=message):
        check_box_inputs(anomaly_map, size)


def test_pairwise_iou():
    boxes = [(0, 0, 2, 2), (0, 0, 0, 0)]
    others = [(0, 0, 2, 2), (1, 1, 3, 3), (2, 0, 4, 2), (5, 5, 5, 5)]
    np.testing.assert_allclose(pairwise_iou(boxes, others), [[1, 1 / 7, 0, 0], [0, 0, 0, 0]])
    assert pairwise_iou(np.zeros((0, 4)), others).shape == (0, 4)
