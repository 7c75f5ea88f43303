"""Warnings in words, each at its own sign and at no other."""
import numpy as np
import pytest

from agssp_mm.maps.records import SourceStatistics
from agssp_mm.visualization.run_page.problems import warn_of_boxes, warn_of_maps


@pytest.mark.parametrize('counts, covered, at_border, starts', [
    ([1, 2, 0], [0.1, 0.2, 0.0], 1, []),
    ([0] * 19 + [1], [0.0] * 20, 0, ['Nothing is flagged: 95% of the images have no box']),
    ([1, 1], [0.6, 0.5], 0, ['Nearly everything is flagged: the boxes cover 55% of the average image']),
    ([2, 3], [0.1, 0.1], 4, ['Nearly all boxes are at the border: 80% of them touch it']),
    ([], [], 0, []),
])
def test_boxes(counts, covered, at_border, starts):
    found = warn_of_boxes(np.array(counts, int), np.array(covered), at_border)
    assert [text[:len(start)] for text, start in zip(found, starts, strict=True)] == starts


def statistics(median, top):
    return SourceStatistics(5, 1.0, {'0.5': median, '0.999': top})


def test_maps():
    assert warn_of_maps(dict(a=statistics(0.1, 0.9))) == []
    assert warn_of_maps(dict(a=statistics(0.99, 1.0)))[0].startswith('The maps are saturated: half of all values')
    two = warn_of_maps(dict(a=statistics(0.1, 0.9), b=statistics(0.5, 0.51)))
    assert len(two) == 1 and two[0].startswith('Source b: the maps are flat')
