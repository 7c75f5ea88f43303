"""The weight-free teacher finds what is rare, and only that."""
import threading

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import TASK_UTILS

from agssp_mm.teachers.texture import TextureTeacher, _pool_evidence


def brushed(seed=0, height=96, width=128):
    rng = np.random.default_rng(seed)
    stripes = rng.normal(0, 6, (1, width)) + rng.normal(0, 3, (height, width))
    light = np.linspace(60, 180, width)[None]
    return np.repeat(np.clip(light + stripes, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def with_pit(image):
    image = image.copy()
    image[40:50, 80:90] -= 30
    return image


def test_a_pit_stands_out_and_uneven_light_does_not():
    maps, scores = TextureTeacher().predict([with_pit(brushed()), brushed()])
    assert maps[0].shape == (48, 64) and maps[0].dtype == np.float32 and maps[0].min() >= 0
    row, column = np.unravel_index(maps[0].argmax(), maps[0].shape)
    assert 18 <= row <= 26 and 38 <= column <= 46
    assert maps[0].max() > 1.3 * maps[1].max()
    assert scores[0] > 1.2 * scores[1] and scores.dtype == np.float32


@pytest.mark.parametrize('size', [(1, 1), (8, 8), (3, 60), (31, 17)])
def test_even_images_of_any_size_are_all_zero(size):
    maps, scores = TextureTeacher().predict([np.full((*size, 3), 90, dtype=np.uint8)])
    assert maps[0].shape == (-(-size[0] // 2), -(-size[1] // 2))
    assert not maps[0].any() and scores.tolist() == [0.0]


def test_tiny_images_have_finite_maps():
    image = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    assert np.isfinite(TextureTeacher().predict([image]).maps[0]).all()


def test_large_images_are_shrunk_with_their_aspect_ratio():
    image = np.random.default_rng(0).integers(0, 255, (400, 100, 3), dtype=np.uint8)
    assert TextureTeacher(long_side=200).predict([image]).maps[0].shape == (100, 25)


def test_fit_makes_the_texture_of_the_set_the_usual_one():
    teacher = TextureTeacher()
    odd = np.random.default_rng(5).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    sound = brushed(7)
    before = teacher.predict([odd, sound]).maps
    teacher.fit(brushed(seed) for seed in range(6))
    after = teacher.predict([odd, sound]).maps
    assert before[0].mean() < 1.5 * before[1].mean()
    assert after[0].mean() > 3 * after[1].mean()


def test_state_makes_the_same_maps_bit_for_bit():
    fitted = TextureTeacher()
    fitted.fit(brushed(seed) for seed in range(3))
    restored = TASK_UTILS.build(dict(type='TextureTeacher', **fitted.settings))
    restored.load_state_dict(fitted.state_dict())
    image = with_pit(brushed(9))
    assert np.array_equal(fitted.predict([image]).maps[0], restored.predict([image]).maps[0])
    assert not np.array_equal(TextureTeacher().predict([image]).maps[0], fitted.predict([image]).maps[0])


def test_a_batch_changes_nothing():
    images = [brushed(1), with_pit(brushed(2, 50, 70))]
    together = TextureTeacher().predict(images).maps
    apart = [TextureTeacher().predict([image]).maps[0] for image in images]
    assert all(np.array_equal(one, other) for one, other in zip(together, apart))


def test_as_many_images_are_computed_at_once_as_there_are_threads(monkeypatch):
    meeting, compute = threading.Barrier(2, timeout=20), TextureTeacher._map

    def wait_for_another(teacher, image):
        meeting.wait()  # breaks where images come one after the other
        return compute(teacher, image)

    monkeypatch.setattr(TextureTeacher, '_map', wait_for_another)
    monkeypatch.setattr(torch, 'get_num_threads', lambda: 2)
    assert len(TextureTeacher().predict([np.zeros((32, 32, 3), np.uint8)] * 4).maps) == 4


def test_transposing_the_image_transposes_the_map():
    image = with_pit(brushed(3))
    turned = np.ascontiguousarray(image.transpose(1, 0, 2))
    straight_map, turned_map = TextureTeacher().predict([image, turned]).maps
    np.testing.assert_allclose(turned_map.T, straight_map, rtol=0.01)


def test_large_weak_evidence_reaches_small_strong_evidence():
    distances = np.ones((120, 160), dtype=np.float32)
    distances[60, 20] = 3  # one cell
    distances[30:90, 70:140] = 2
    pooled = _pool_evidence(distances)
    assert pooled[60, 105] == pytest.approx(2.001 * 1.3, rel=0.01)
    assert pooled[60, 20] < 1.4
    assert pooled[5, 5] == pytest.approx(1.001 * 1.3, rel=1e-3)


def test_errors_say_what_to_do():
    with pytest.raises(ValueError, match='use the state of a TextureTeacher'):
        TextureTeacher().load_state_dict(dict(mean=torch.zeros(2)))
    fitted = TextureTeacher()
    fitted.fit([brushed()])
    broken = fitted.state_dict() | dict(centre=torch.full_like(fitted.state_dict()['centre'], torch.nan))
    with pytest.raises(ValueError, match='needs finite tensors'):
        TextureTeacher().load_state_dict(broken)
    with pytest.raises(ValueError, match='long_side must lie in'):
        TextureTeacher(long_side=0)
    with pytest.raises(ValueError, match='at least one image'):
        TextureTeacher().fit([np.zeros((9, 9, 3), dtype=np.uint8)])


def test_it_learns_from_normal_images_where_there_are_any(tmp_path):
    for seed in range(5):
        cv2.imwrite(str(tmp_path / f'{seed}.png'), brushed(seed))
    fitted, wanted = TextureTeacher(normals=tmp_path), TextureTeacher()
    fitted.fit([with_pit(brushed(9))])
    wanted.fit([brushed(seed) for seed in range(5)])
    assert all(torch.allclose(found, wanted.state_dict()[name]) for name, found in fitted.state_dict().items())
    few = TextureTeacher(normals=tmp_path, num_normals=3, seed=1)
    few.fit([])
    again = TASK_UTILS.build(dict(type='TextureTeacher', **few.settings))
    again.fit([])
    assert torch.equal(again.state_dict()['centre'], few.state_dict()['centre'])
    assert not torch.equal(few.state_dict()['centre'], fitted.state_dict()['centre'])
    assert TextureTeacher().settings == dict(long_side=256)
    with pytest.raises(ValueError, match='5 normal images, but num_normals=6'):
        TextureTeacher(normals=tmp_path, num_normals=6)
    with pytest.raises(ValueError, match='goes with normals'):
        TextureTeacher(num_normals=2)
