import logging

import numpy as np
import pytest

from agssp_mm.maps import box_cache
from agssp_mm.maps.box_cache import cache_path, load_or_make_boxes
from agssp_mm.maps.boxes import BoxRule, PseudoBoxes
from agssp_mm.maps.finish import finish_store
from agssp_mm.maps.paper_boxes import PaperBoxRule
from agssp_mm.maps.plan import PlannedImage
from agssp_mm.maps.store import MapStore
from agssp_mm.teachers.calibrate import Calibration


def make_store(path, values=(0.5, 0.0, 1.5), image_size=(40, 60)):
    """One map per value with a block of that raw value; images 'a/0.jpg', 'a/1.jpg', ..."""
    path.mkdir()
    meta = {'format': 1, 'complete': False, 'calibration': Calibration('linear', 2.0).to_dict(), 'statistics': {},
            'skipped': {}, 'teacher': {'type': 'Toy', 'version': 1, 'settings': {}}}
    store = MapStore(path, meta)
    plan = [PlannedImage(f'{i:032x}', f'a/{i}.jpg', 'default') for i in range(len(values))]
    for planned, value in zip(plan, values, strict=True):
        raw = np.zeros((20, 30), np.float32)
        raw[3:9, 4:14] = value
        store.write(planned.name, raw, value, image_size)
    finish_store(store, plan, {})
    return MapStore.open(path)


class CountingRule(BoxRule):
    """Box of the whole image with two outlines, none where the map is zero; counts its calls."""

    version = 1

    def __init__(self, edge=1.0, killed_after=None):
        self.edge, self.killed_after, self.calls = edge, killed_after, 0

    @property
    def settings(self):
        return dict(edge=self.edge)

    def __call__(self, anomaly_map, image_size, context):
        if self.calls == self.killed_after:
            raise KeyboardInterrupt
        self.calls += 1
        peak = anomaly_map.max()
        if not peak:
            return PseudoBoxes.of([], [], [])
        triangle = np.array([(0, 0), (self.edge, 0), (0, self.edge)])
        outlines = [triangle, np.array([(9, 9), (9, 5), (5, 5), (5, 9)])]
        return PseudoBoxes.of([(0, 0, image_size[1], image_size[0]), (1, 1, 2, 2)], [peak, peak / 2],
                              [outlines, [triangle]])


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, boxes in found.items():
        assert boxes.boxes.dtype == np.float32 and boxes.boxes.tolist() == expected[name].boxes.tolist()
        assert boxes.scores.tolist() == expected[name].scores.tolist()
        assert [[line.tolist() for line in group] for group in boxes.polygons] == \
            [[line.tolist() for line in group] for group in expected[name].polygons]


def test_boxes_are_made_once_and_read_back_the_same(tmp_path):
    store = make_store(tmp_path / 'store')
    rule = CountingRule()
    made = load_or_make_boxes(store, rule)
    assert rule.calls == 3 and list(made) == ['a/0.jpg', 'a/1.jpg', 'a/2.jpg']
    assert made['a/0.jpg'].boxes.tolist() == [[0, 0, 60, 40], [1, 1, 2, 2]]
    assert made['a/1.jpg'].boxes.shape == (0, 4)
    assert_same(load_or_make_boxes(MapStore.open(store.path), rule), made)
    assert rule.calls == 3


def test_images_without_any_box_are_cached_too(tmp_path):
    store = make_store(tmp_path / 'store', values=(0.0, 0.0))
    rule = CountingRule()
    made = load_or_make_boxes(store, rule)
    assert_same(load_or_make_boxes(store, rule), made)
    assert rule.calls == 2 and made['a/1.jpg'].polygons == []


def test_a_change_of_settings_version_or_maps_makes_them_anew(tmp_path):
    store = make_store(tmp_path / 'store')
    rule = CountingRule()
    paths = {cache_path(store, rule), cache_path(store, CountingRule(edge=2.0)), cache_path(store, PaperBoxRule())}
    rule.version = 2
    paths.add(cache_path(store, rule))
    store.meta['teacher']['version'] = 2
    paths.add(cache_path(store, rule))
    index = store.path / 'index.jsonl'
    index.write_text(index.read_text().replace('a/0.jpg', 'b/0.jpg'))
    paths.add(cache_path(store, rule))
    assert len(paths) == 6


@pytest.mark.parametrize('damage', [
    lambda path: path.write_bytes(b''),
    lambda path: path.write_bytes(path.read_bytes()[:-40]),
    lambda path: path.write_bytes(b'no archive at all'),
    lambda path: np.savez(path, boxes=np.zeros((0, 4))),
    lambda path: np.savez(path, **{**np.load(path), 'points_per_outline': np.array([3])}),
    lambda path: np.savez(path, **{**np.load(path), 'boxes_per_image': np.array([2, 2])}),
    lambda path: np.savez(path, **{**np.load(path), 'boxes': np.array([{}], dtype=object)}),
])
def test_a_damaged_file_is_made_again_with_a_warning(tmp_path, caplog, damage):
    store = make_store(tmp_path / 'store')
    rule = CountingRule()
    made = load_or_make_boxes(store, rule)
    damage(cache_path(store, rule))
    with caplog.at_level(logging.WARNING):
        assert_same(load_or_make_boxes(store, rule), made)
    assert 'is damaged' in caplog.text and rule.calls == 6
    assert_same(load_or_make_boxes(store, rule), made)
    assert rule.calls == 6


def test_a_folder_that_cannot_be_written_only_costs_time(tmp_path, caplog):
    store = make_store(tmp_path / 'store')
    (store.path / 'boxes').write_text('in the way')
    rule = CountingRule()
    with caplog.at_level(logging.WARNING):
        assert len(load_or_make_boxes(store, rule)) == 3
    assert 'could not be kept' in caplog.text


def test_the_rule_sees_calibrated_maps_sizes_and_statistics_of_the_source(tmp_path):
    # Peaks 0.5, 0 and 1.5: the mean is 2 / 3, so the published rule boxes the last image only.
    found = load_or_make_boxes(make_store(tmp_path / 'store'), PaperBoxRule())
    assert [len(boxes.boxes) for boxes in found.values()] == [0, 0, 1]
    np.testing.assert_allclose(found['a/2.jpg'].scores, [0.75], atol=1e-4)
    assert found['a/2.jpg'].boxes.tolist() == [[8, 6, 28, 18]]


@pytest.fixture
def seven(tmp_path, monkeypatch):
    monkeypatch.setattr(box_cache, 'PART_IMAGES', 2)
    return make_store(tmp_path / 'seven', values=(0.5, 0.0, 1.5, 1.0, 0.25, 0.75, 2.0))


def test_a_killed_process_goes_on_with_the_parts_it_made(seven, tmp_path):
    expected = load_or_make_boxes(make_store(tmp_path / 'undisturbed', values=(0.5, 0.0, 1.5, 1.0, 0.25, 0.75, 2.0)),
                                  CountingRule())
    with pytest.raises(KeyboardInterrupt):
        load_or_make_boxes(seven, CountingRule(killed_after=5))
    parts = sorted((seven.path / 'boxes').glob('*/*.npz'))
    assert [part.name for part in parts] == ['00000.npz', '00001.npz']
    parts[0].write_bytes(parts[0].read_bytes()[:40])  # cut off: made again
    rule = CountingRule()
    assert_same(load_or_make_boxes(seven, rule), expected)
    assert rule.calls == 2 + 3
    assert list((seven.path / 'boxes').iterdir()) == [cache_path(seven, rule)]


def test_ranks_begin_at_different_parts_and_share_them(seven, monkeypatch):
    first, second = CountingRule(), CountingRule(killed_after=5)
    monkeypatch.setattr(box_cache, 'get_dist_info', lambda: (1, 2))
    with pytest.raises(KeyboardInterrupt):
        load_or_make_boxes(seven, second)  # three images of the last two parts, then two of the first
    monkeypatch.setattr(box_cache, 'get_dist_info', lambda: (0, 2))
    made = load_or_make_boxes(seven, first)
    assert first.calls == 2 and [len(each.boxes) for each in made.values()] == [2, 0, 2, 2, 2, 2, 2]
