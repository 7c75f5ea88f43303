import io
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import TASK_UTILS

from agssp_mm.teachers.mutual import MutualTeacher

sys.path.insert(0, str(Path(__file__).parent))
from feature_toys import TOY, averages, contrast, surface  # noqa: E402, F401


def teacher(**settings):
    return MutualTeacher(**{**TOY, **settings})


def test_what_few_other_images_have_stands_out():
    images = [surface(seed, defect=seed == 3) for seed in range(12)]
    fitted = teacher()
    fitted.fit(images)
    maps, scores = fitted.predict(images)
    assert [one.shape for one in maps] == [(16, 16)] * 12 and maps[0].dtype == np.float32
    assert contrast(maps[3]) > 3 and scores.argmax() == 3


def test_the_lowest_distances_are_left_out_so_that_other_views_of_a_part_hide_nothing():
    images = [surface(seed) for seed in range(10)] + [surface(30, defect=True)] * 2
    found = {}
    for interval in ((0, 0.1), (0.2, 0.5)):
        fitted = teacher(interval=interval)
        fitted.fit(images)
        found[interval] = fitted.predict(images[-1:]).maps[0][7:9, 9:11].mean()
    assert found[(0, 0.1)] < 1e-3 < 0.05 < found[(0.2, 0.5)]


def test_the_score_is_the_mean_of_an_interval_of_the_nearest_cosine_distances():
    images = [surface(seed) for seed in range(6)]
    fitted = teacher(interval=(0.5, 1), num_references=4)
    fitted.fit(images)
    state = fitted.state_dict()
    query = torch.from_numpy(fitted._features(surface(9)).reshape(-1, 6))
    query = torch.nn.functional.normalize((query - state['mean']) / state['scale'], dim=1)
    nearest = [1 - (query @ one.T).amax(1) for one in state['references'].split(state['sizes'].tolist())]
    expected = torch.stack(nearest, 1).sort(1).values[:, 2:4].mean(1).reshape(16, 16)
    assert fitted.predict([surface(9)]).maps[0] == pytest.approx(expected.numpy(), abs=1e-5)


@pytest.mark.parametrize('number', [2, 5, 9])
def test_in_a_small_set_no_image_is_compared_with_itself(number):
    images = [surface(seed, defect=seed == 1) for seed in range(number)]
    fitted = teacher()
    fitted.fit(images)
    state = fitted.state_dict()
    query = torch.from_numpy(fitted._features(images[1]).reshape(-1, 6))
    query = torch.nn.functional.normalize((query - state['mean']) / state['scale'], dim=1)
    nearest = [1 - (query @ one.T).amax(1) for one in state['references'].split(state['sizes'].tolist())]
    others = torch.stack(nearest, 1).sort(1).values[:, 1:max(int(0.3 * number), 2)]
    assert fitted.predict(images[1:2]).maps[0] == pytest.approx(others.mean(1).reshape(16, 16).numpy(), abs=1e-5)
    assert contrast(fitted.predict(images[1:2]).maps[0]) > 2


def test_a_share_of_the_score_is_how_odd_a_patch_is_within_its_image():
    images = [surface(seed, defect=True) for seed in range(8)]
    found = {}
    for within in (0.0, 0.25, 1.0):
        fitted = teacher(within=within, within_nearest=0.1)
        fitted.fit(images)
        found[within] = fitted.predict(images[:1]).maps[0]
    assert contrast(found[1.0]) > 3
    assert found[0.25] == pytest.approx(0.75 * found[0.0] + 0.25 * found[1.0], abs=1e-5)
    state = fitted.state_dict()
    own = torch.from_numpy(fitted._features(images[0]).reshape(-1, 6))
    own = torch.nn.functional.normalize((own - state['mean']) / state['scale'], dim=1)
    expected = 1 - (own @ own.T).sort(1, descending=True).values[:, :26].mean(1)  # 26 of 256 patches
    assert found[1.0] == pytest.approx(expected.reshape(16, 16).numpy(), abs=1e-5)


def test_references_are_bounded_and_seeded():
    states = []
    for seed in (0, 0, 1):
        fitted = teacher(num_references=3, num_patches=20, seed=seed)
        fitted.fit(surface(number) for number in range(12))
        states.append(fitted.state_dict())
    assert states[0]['sizes'].tolist() == [20, 20, 20] and states[0]['references'].shape == (60, 6)
    assert torch.equal(states[0]['references'], states[1]['references'])
    assert not torch.equal(states[0]['references'], states[2]['references'])


def test_state_survives_a_safe_round_trip():
    fitted = teacher(within=0.5)
    fitted.fit([surface(seed) for seed in range(4)])
    file = io.BytesIO()
    torch.save(fitted.state_dict(), file)
    file.seek(0)
    other = TASK_UTILS.build(dict(type='MutualTeacher', **fitted.settings))
    other.load_state_dict(torch.load(file, weights_only=True))
    assert np.array_equal(other.predict([surface(9)]).maps[0], fitted.predict([surface(9)]).maps[0])
    broken = torch.full((6, ), float('nan'))
    for wrong in (dict(sizes=torch.tensor([3, 4])), dict(mean=torch.zeros(2)), dict(scale=broken)):
        with pytest.raises(ValueError, match='that fit each other'):
            teacher().load_state_dict({**fitted.state_dict(), **wrong})


@pytest.mark.parametrize('settings, message', [
    (dict(num_references=1), 'num_references must lie'), (dict(interval=(0.5, 0.5)), 'interval must be'),
    (dict(within=2), 'within must lie'), (dict(within_nearest=0), 'within_nearest in'),
])
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        teacher(**settings)


def test_it_needs_two_images():
    with pytest.raises(ValueError, match='at least two, got 1'):
        teacher().fit([surface(0)])
    with pytest.raises(ValueError, match='must be fitted'):
        teacher().predict([surface(0)])
