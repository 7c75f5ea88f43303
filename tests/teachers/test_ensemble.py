import io

import numpy as np
import pytest
import torch
from mmengine.registry import TASK_UTILS

from agssp_mm.images import list_images
from agssp_mm.maps.generate import generate_maps
from agssp_mm.maps.store import MapStore
from agssp_mm.teachers.base import AnomalyMaps, NoMapError, Teacher
from agssp_mm.teachers.ensemble import EnsembleTeacher


class Bright(Teacher):
    """Grey value to a power, on a grid of its own; fails on black images if asked to."""

    version = 1
    settings = {}

    def __init__(self, power=1.0, cells=8, picky=False):
        self.power, self.cells, self.picky, self.fitted = power, cells, picky, 0

    def fit(self, images):
        self.fitted = sum(1 for _ in images)

    def predict(self, images):
        if self.picky and any(not image.any() for image in images):
            raise NoMapError('too dark')
        step = [image.shape[0] // self.cells for image in images]
        grey = [image[s // 2::s, s // 2::s, 0].astype(np.float32) for image, s in zip(images, step)]
        maps = [(one / 10) ** self.power for one in grey]
        return AnomalyMaps(maps, np.array([one.max() for one in maps], np.float32))


def pictures(number=5):
    rng = np.random.default_rng(0)
    return [np.repeat(rng.integers(100, 200, (16, 16, 1), dtype=np.uint8), 3, 2) for _ in range(number)]


def test_members_of_the_same_ranking_agree_whatever_their_scale():
    ensemble, single = EnsembleTeacher([Bright(1), Bright(6)]), Bright(1)
    ensemble.fit(pictures())
    combined, alone = ensemble.predict(pictures()[:1]).maps[0], single.predict(pictures()[:1]).maps[0]
    assert combined.dtype == np.float32 and combined.shape == (8, 8) and combined.min() >= 0
    assert np.array_equal(combined.ravel().argsort(kind='stable'), alone.ravel().argsort(kind='stable'))
    # both are calibrated: 99 % quantile of the sample at 0.8, so the odds there are 4; the median at 0.1, odds 1 / 9
    all_maps = np.concatenate([one.ravel() for one in ensemble.predict(pictures()).maps])
    assert np.quantile(all_maps, 0.5) == pytest.approx(1 / 9, rel=0.05)
    assert np.quantile(all_maps, 0.99) == pytest.approx(4, rel=0.1)


def test_its_version_follows_those_of_its_members(monkeypatch):
    versions = set()
    for first in (1, 2):
        for second in (1, 2):
            members = [Bright(), Bright()]
            members[0].version, members[1].version = first, second
            versions.add(EnsembleTeacher(members).version)
    assert len(versions) == 4
    ensemble = EnsembleTeacher([Bright(), Bright()])
    monkeypatch.setattr(EnsembleTeacher, 'version', EnsembleTeacher.version + 1)
    assert EnsembleTeacher([Bright(), Bright()]).version != ensemble.version


def test_weights_and_grids():
    images = pictures()
    only_first = EnsembleTeacher([Bright(1, 4), Bright(2, 8)], weights=[1, 0])
    only_first.fit(images)
    fine = only_first.predict(images[:1]).maps[0]
    assert fine.shape == (8, 8)
    both = EnsembleTeacher([Bright(1, 4), Bright(2, 8)], weights=[1, 3])
    both.fit(images)
    assert not np.allclose(both.predict(images[:1]).maps[0], fine)
    assert all(member.fitted == 5 for member in both._members)


def test_an_image_that_a_member_refuses_is_left_out_of_the_sample_and_refused():
    ensemble = EnsembleTeacher([Bright(), Bright(picky=True)])
    ensemble.fit([*pictures(), np.zeros((16, 16, 3), np.uint8)])
    with pytest.raises(NoMapError, match='too dark'):
        ensemble.predict([np.zeros((16, 16, 3), np.uint8)])
    with pytest.raises(ValueError, match='none of the 1 images'):
        ensemble.fit([np.zeros((16, 16, 3), np.uint8)])


def test_built_by_names_saved_and_restored():
    members = {'texture': dict(long_side=64), 'TextureTeacher': {}}
    ensemble = TASK_UTILS.build(dict(type='EnsembleTeacher', teachers=members))
    assert [one['type'] for one in ensemble.settings['teachers']] == ['TextureTeacher', 'TextureTeacher']
    rng = np.random.default_rng(0)
    images = [np.repeat(rng.integers(0, 255, (64, 64, 1), dtype=np.uint8), 3, 2) for _ in range(3)]
    ensemble.fit(images)
    file = io.BytesIO()
    torch.save(ensemble.state_dict(), file)
    file.seek(0)
    other = TASK_UTILS.build(dict(type='EnsembleTeacher', **ensemble.settings))
    other.load_state_dict(torch.load(file, weights_only=True))
    assert np.array_equal(other.predict(images[:1]).maps[0], ensemble.predict(images[:1]).maps[0])
    with pytest.raises(ValueError, match='of 3 members needs'):
        EnsembleTeacher(['texture'] * 3).load_state_dict(ensemble.state_dict())


@pytest.mark.parametrize('arguments, message', [
    (dict(teachers=['texture']), 'at least two'), (dict(teachers='texture'), 'at least two'),
    (dict(teachers=['texture', 'oracle']), "unknown teacher 'oracle'; there are: .*texture"),
    (dict(teachers=['texture', dict(type='texture', long=1)]), 'refuses its settings'),
    (dict(teachers=['texture'] * 2, weights=[1]), 'must be 2 numbers'),
    (dict(teachers=['texture'] * 2, weights=[0, 0]), 'not all 0'),
    (dict(teachers=['texture'] * 2, sample_images=0), 'sample_images must be'),
])
def test_bad_settings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        EnsembleTeacher(**arguments)


def test_it_must_be_fitted():
    with pytest.raises(ValueError, match='must be fitted'):
        EnsembleTeacher(['texture'] * 2).predict(pictures())


def test_names_reach_the_members_that_look_them_up(image_folder, tmp_path):
    maps = tmp_path / 'made'
    (maps / 'deep').mkdir(parents=True)
    images = list_images(image_folder)
    for number, entry in enumerate(images):
        np.save((maps / entry.name).with_suffix('.npy'), np.full((4, 3), number, np.float32))
    ensemble = EnsembleTeacher(['texture', dict(type='precomputed', folder=maps)])
    assert ensemble.uses_names and not ensemble.uses_sources
    generate_maps(images, ensemble, tmp_path / 'store')
    store = MapStore.open(tmp_path / 'store')
    means = [store.read(entry.name).mean() for entry in images]
    assert means[0] < means[6] < means[11]
