import io
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import TASK_UTILS

from agssp_mm.teachers.subspace import SubspaceTeacher

sys.path.insert(0, str(Path(__file__).parent))
from feature_toys import TOY, averages, contrast, surface  # noqa: E402, F401


def teacher(**settings):
    return SubspaceTeacher(**{**TOY, **settings})


def test_an_odd_colour_stands_out_and_brightness_does_not():
    fitted = teacher()
    fitted.fit([surface(seed) for seed in range(8)])
    maps, scores = fitted.predict([surface(20, defect=True), surface(21), surface(22, size=(64, 32))])
    assert [one.shape for one in maps] == [(16, 16), (16, 16), (16, 8)] and maps[0].dtype == np.float32
    inside = maps[0][7:9, 9:11].mean()
    assert inside > 5 * np.median(maps[0]) and inside > 3 * maps[1].max()
    assert scores[0] > 3 * scores[1] and scores.dtype == np.float32
    alone = fitted.predict([surface(20, defect=True)])
    assert alone.maps[0] == pytest.approx(maps[0], rel=1e-4) and alone.scores[0] == pytest.approx(scores[0], rel=1e-4)


def test_trimming_keeps_defects_of_the_set_from_becoming_usual():
    images = [surface(seed, defect=True) for seed in range(8)]
    found = {}
    for trim in (0.0, 0.2):
        fitted = teacher(trim=trim)
        fitted.fit(images)
        found[trim] = contrast(fitted.predict(images[:1]).maps[0])
    assert found[0.2] > 1.5 * found[0.0]


def test_state_survives_a_safe_round_trip():
    fitted = teacher()
    fitted.fit([surface(seed) for seed in range(4)])
    file = io.BytesIO()
    torch.save(fitted.state_dict(), file)
    file.seek(0)
    other = teacher()
    other.load_state_dict(torch.load(file, weights_only=True))
    image = surface(9, defect=True)
    assert np.array_equal(other.predict([image]).maps[0], fitted.predict([image]).maps[0])


@pytest.mark.parametrize('change', [lambda state: state.pop('scale'),
                                    lambda state: state.update(mean=torch.zeros(5)),
                                    lambda state: state['rest'].fill_(float('nan'))])
def test_a_foreign_state_is_refused(change):
    fitted = teacher()
    fitted.fit([surface(0)])
    state = fitted.state_dict()
    change(state)
    with pytest.raises(ValueError, match='finite tensors mean'):
        teacher().load_state_dict(state)


def test_it_is_built_from_its_settings():
    settings = teacher(explained=0.5, trim=0).settings
    assert TASK_UTILS.build(dict(type='SubspaceTeacher', **settings)).settings == settings


@pytest.mark.parametrize('settings, message', [
    (dict(trim=1), r'trim must lie in \[0, 1\), got 1'),
    (dict(explained=-0.1), 'explained must lie'),
    (dict(levels=()), 'names none'),
])
def test_bad_settings_are_refused_before_any_image(settings, message):
    with pytest.raises(ValueError, match=message):
        teacher(**settings)


@pytest.mark.parametrize('settings, message', [
    (dict(levels=(0, 2)), 'returns 2 levels'),
    (dict(backbone=dict(type='Averages', broken=True)), 'not finite'),
])
def test_bad_features_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        teacher(**settings).fit([surface(0)])


def test_it_must_be_fitted_on_something():
    with pytest.raises(ValueError, match='must be fitted'):
        teacher().predict([surface(0)])
    with pytest.raises(ValueError, match='patches differ'):
        teacher().fit([])
    with pytest.raises(ValueError, match='patches differ'):
        teacher().fit([np.full((64, 64, 3), 7, np.uint8)])


def test_it_learns_from_normal_images_where_there_are_any(tmp_path):
    for seed in range(6):
        cv2.imwrite(str(tmp_path / f'{seed}.png'), surface(seed))
    fitted = teacher(normals=str(tmp_path), num_normals=4, seed=3)
    fitted.fit([surface(seed, defect=True) for seed in range(8)])
    assert contrast(fitted.predict([surface(0, defect=True)]).maps[0]) > 5
    again = teacher(**{key: value for key, value in fitted.settings.items() if key not in TOY})
    again.fit([])
    assert torch.equal(again.state_dict()['rest'], fitted.state_dict()['rest'])
    other = teacher(normals=str(tmp_path), num_normals=4, seed=4)
    other.fit([])
    assert not torch.equal(other.state_dict()['mean'], fitted.state_dict()['mean'])
    with pytest.raises(ValueError, match='6 normal images, but num_normals=7'):
        teacher(normals=str(tmp_path), num_normals=7)
    with pytest.raises(ValueError, match='goes with normals'):
        teacher(num_normals=4)
    with pytest.raises(FileNotFoundError, match='nowhere.png'):
        teacher(normals=['nowhere.png'])


def test_a_state_of_other_features_is_refused_by_name():
    fitted = teacher()
    fitted.fit([surface(seed) for seed in range(2)])
    other = teacher(levels=(0, ))
    other.load_state_dict(fitted.state_dict())
    with pytest.raises(ValueError, match='fitted on features of 6 channels, but the backbone gives 3'):
        other.predict([surface(0)])
