"""Boxes at a row of thresholds are those of the rule itself."""
import numpy as np
import pytest
from mmengine.registry import TASK_UTILS

from agssp_mm.maps.boxes import BoxContext
from agssp_mm.maps.store import MapStore
from agssp_mm.visualization.run_page.thresholds import box_at, config_line, threshold_values


@pytest.mark.parametrize('rule, name, own', [
    (dict(type='ComponentTreeBoxRule', threshold=0.3), 'threshold', 0.3),
    (dict(type='PaperBoxRule'), 'offset', 0.1),
    (dict(type='PaperBoxRule', offset=0), None, None),
])
def test_the_setting_that_moves(rule, name, own):
    found, values = threshold_values(rule)
    assert found == name
    if name:
        assert len(values) == 13 and values[6] == own
        assert values == sorted(values)
        assert values[-1] == pytest.approx(8 * own)


def test_a_step_counts_what_the_rule_finds(store):
    opened = MapStore.open(store)
    maps = {record.name: opened.read(record.name) for record in opened.index}
    rule = dict(type='ComponentTreeBoxRule', smoothing=0.0)
    step = box_at(opened, rule, opened.index, 'threshold', 0.05, maps)
    made = TASK_UTILS.build(dict(rule, threshold=0.05))
    expected = [made(maps[record.name], (record.height, record.width),
                     BoxContext(opened.calibration, opened.statistics[record.source])) for record in opened.index]
    assert [found.boxes.tolist() for found in step.boxes.values()] == [found.boxes.tolist() for found in expected]
    counts = np.array([len(found.boxes) for found in expected])
    assert step.num_boxes == counts.sum() > 0
    assert step.num_empty == (counts == 0).sum()
    assert step.per_image == [(counts == number).sum() for number in range(10)] + [(counts >= 10).sum()]
    assert sum(step.sizes) == counts.sum()
    assert step.line == "rule=dict(type='ComponentTreeBoxRule', smoothing=0.0, threshold=0.05)"
    assert eval(step.line.removeprefix('rule=')) == dict(rule, threshold=0.05)
    nothing = box_at(opened, rule, opened.index, 'threshold', 1e6, maps)
    assert (nothing.num_boxes, nothing.num_empty) == (0, 12)
    assert 'Nothing is flagged: 100% of the images' in nothing.warnings[0]


def test_a_rule_without_a_threshold_keeps_its_line():
    assert config_line(dict(type='PaperBoxRule', compat_nms=True)) == "rule=dict(type='PaperBoxRule', compat_nms=True)"
