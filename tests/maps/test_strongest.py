import numpy as np
import pytest

from agssp_mm.maps.boxes import PseudoBoxes
from agssp_mm.maps.strongest import keep_strongest


def found(*rows):
    outlines = [[np.array([row[:2], (row[2], row[1]), row[2:4]])] for row in rows]
    return PseudoBoxes.of([row[:4] for row in rows], [row[4] for row in rows], outlines)


def test_strongest_of_all_images_are_kept():
    boxes = dict(a=found((0, 0, 9, 9, 0.875), (0, 0, 5, 5, 0.5)), b=found((1, 1, 4, 4, 0.25)), c=found(), d=found())
    kept = keep_strongest(boxes, 0.5)
    assert {name: each.scores.tolist() for name, each in kept.items()} == dict(a=[0.875, 0.5], b=[], c=[], d=[])
    assert kept['a'].boxes.tolist() == [[0, 0, 9, 9], [0, 0, 5, 5]] and kept['b'].boxes.shape == (0, 4)
    best = keep_strongest(boxes, 0.25)['a']
    assert best.scores.tolist() == [0.875] and [outline[0].tolist() for outline in best.polygons] == [
        [[0, 0], [9, 0], [9, 9]]]


def test_at_most_all_at_least_one_and_equal_scores_together():
    boxes = dict(a=found((0, 0, 9, 9, 0.5), (9, 9, 12, 12, 0.25)), b=found((1, 1, 4, 4, 0.5)))
    assert [len(each.boxes) for each in keep_strongest(boxes, 10).values()] == [2, 1]
    assert [len(each.boxes) for each in keep_strongest(boxes, 0.01).values()] == [1, 1]


def test_what_cannot_be_kept():
    for per_image in (0, float('inf'), float('nan')):
        with pytest.raises(ValueError, match=f'must be > 0 and finite, got {per_image}'):
            keep_strongest(dict(a=found((0, 0, 9, 9, 0.5))), per_image)
    with pytest.raises(ValueError, match='no box in any of 1 images'):
        keep_strongest(dict(c=found()), 1)
