import io
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import TASK_UTILS

from agssp_mm.teachers.patch_memory import PatchMemoryTeacher

sys.path.insert(0, str(Path(__file__).parent))
from feature_toys import TOY, averages, contrast, surface  # noqa: E402, F401


def teacher(**settings):
    return PatchMemoryTeacher(**{**TOY, **settings})


@pytest.mark.parametrize('settings', [dict(), dict(selection='random'), dict(neighbours=3), dict(blur=0)])
def test_what_was_never_seen_stands_out(settings):
    fitted = teacher(**settings)
    fitted.fit([surface(seed) for seed in range(8)])
    maps, scores = fitted.predict([surface(20, defect=True), surface(21, size=(64, 32))])
    assert maps[0].shape == (16, 16) and maps[1].shape == (16, 16) and maps[0].dtype == np.float32
    assert contrast(maps[0]) > 3 and scores[0] > 2 * scores[1]


def test_images_keep_their_aspect_ratio_if_asked_to():
    fitted = teacher(squash=False)
    fitted.fit([surface(0)])
    assert fitted.predict([surface(21, size=(64, 32))]).maps[0].shape == (16, 8)
    assert fitted.settings['squash'] is False and teacher().settings['squash'] is True


def test_the_map_is_the_distance_to_the_nearest_remembered_patch():
    fitted = teacher(blur=0)
    images = [surface(seed) for seed in range(2)]
    fitted.fit(images)
    assert fitted.predict(images).maps[0] == pytest.approx(0, abs=0.2)  # all 512 patches are remembered
    bank = fitted.state_dict()['bank']
    assert bank.shape == (512, 6)
    query = surface(5)
    features = torch.from_numpy(fitted._features(query).reshape(-1, 6))
    expected = torch.cdist(features.double(), bank.double()).amin(1).reshape(16, 16)
    assert fitted.predict([query]).maps[0] == pytest.approx(expected.numpy(), abs=0.1)


def test_the_memory_is_bounded_and_seeded():
    states = []
    for seed in (0, 0, 1):
        fitted = teacher(bank_size=40, seed=seed)
        fitted.fit(surface(number) for number in range(12))
        states.append(fitted.state_dict()['bank'])
    assert states[0].shape == (40, 6)
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])


def test_normals_keep_defects_of_the_set_out(tmp_path):
    for seed in range(4):
        cv2.imwrite(str(tmp_path / f'{seed}.png'), surface(seed))
    defective = [surface(seed, defect=True) for seed in range(8)]
    plain, few_shot = teacher(), teacher(normals=tmp_path)
    for fitted in (plain, few_shot):
        fitted.fit(defective)
    assert contrast(few_shot.predict(defective[:1]).maps[0]) > 3
    assert plain.predict(defective[:1]).maps[0].max() < few_shot.predict(defective[:1]).maps[0].max() / 3


def test_state_survives_a_safe_round_trip():
    fitted = teacher()
    fitted.fit([surface(seed) for seed in range(4)])
    file = io.BytesIO()
    torch.save(fitted.state_dict(), file)
    file.seek(0)
    other = TASK_UTILS.build(dict(type='PatchMemoryTeacher', **fitted.settings))
    other.load_state_dict(torch.load(file, weights_only=True))
    image = surface(9, defect=True)
    assert np.array_equal(other.predict([image]).maps[0], fitted.predict([image]).maps[0])
    with pytest.raises(ValueError, match='bank_size=100 needs one finite tensor bank'):
        teacher(bank_size=100).load_state_dict(fitted.state_dict())
    with pytest.raises(ValueError, match='one finite tensor bank'):
        teacher().load_state_dict(dict(bank=torch.full((3, 6), float('nan'))))
    with pytest.raises(ValueError, match='one finite tensor bank'):
        teacher().load_state_dict(dict(mean=torch.zeros(3)))


@pytest.mark.parametrize('settings, message', [
    (dict(bank_size=0), 'bank_size must lie'), (dict(neighbours=0), 'neighbours in'),
    (dict(selection='best'), "'greedy' or 'random'"), (dict(blur=-1), 'blur must lie'),
])
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        teacher(**settings)


def test_it_must_be_fitted_on_something():
    with pytest.raises(ValueError, match='must be fitted'):
        teacher().predict([surface(0)])
    with pytest.raises(ValueError, match='at least one image'):
        teacher().fit([])
    with pytest.raises(ValueError, match='not finite'):
        teacher(backbone=dict(type='Averages', broken=True)).fit([surface(0)])
