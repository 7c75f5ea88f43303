import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import TASK_UTILS
from scipy.linalg import eigh

from agssp_mm.teachers.normalized_cut import CELLS, NormalizedCutTeacher, level_light, second_eigenvector

sys.path.insert(0, str(Path(__file__).parent))
from feature_toys import TOY, averages, surface  # noqa: E402, F401


def teacher(**settings):
    return NormalizedCutTeacher(**{**TOY, 'levels': (0, ), **settings})


def plate(seed):
    """Fine grey noise with a darker square."""
    image = 120 + np.random.default_rng(seed).integers(-3, 4, (64, 64, 3))
    image[24:40, 32:48] -= 30
    return image.astype(np.uint8)


def test_the_odd_side_is_high_and_ends_where_it_ends():
    images = [plate(3), plate(4)]
    maps, scores = teacher().predict(images)
    defect = np.zeros((16, 16), bool)
    defect[6:10, 8:12] = True  # pixels 24 to 40 and 32 to 48, in cells of 4
    for one in maps:
        assert one.dtype == np.float32 and one.shape == (16, 16)
        assert one.min() == 0 and one.max() == 1
        # no blur across the edge: the toy averages whole cells
        assert one[defect].min() > 0.8 > 0.5 > one[~defect].max()
    assert scores.shape == (2, ) and scores.min() > 0.8


def test_the_smaller_side_is_the_odd_one_whatever_its_brightness():
    for sign in (-1, 1):
        features = np.full((16, 16, 3), 120, np.float32)
        features[:4, :6] = 120 + sign * 60
        odd = teacher().score(features)
        assert odd[:4, :6].min() > 0.999 and max(odd[4:].max(), odd[:, 6:].max()) < 1e-3


def test_it_solves_the_generalised_eigenvalue_problem_of_the_cut():
    vectors = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32) + np.float32(3)
    centred = vectors - vectors.mean(0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    affinities = np.exp(unit.astype(np.float64) @ unit.T / 0.2)
    degrees = np.diag(affinities.sum(1))
    expected = eigh(degrees - affinities, degrees, subset_by_index=[1, 1])[1][:, 0]
    found = second_eigenvector(vectors)
    assert abs(np.corrcoef(found, expected)[0, 1]) > 0.9999


def test_a_slope_of_the_light_is_taken_out_but_no_defect():
    across, down = np.meshgrid(np.linspace(-1, 1, 80), np.linspace(-1, 1, 60))
    slope = 20 * across - 35 * down
    image = np.full((60, 80, 3), 120.0)
    image[10:30, 20:50] = 60
    lit = level_light((image + slope[..., None]).round().astype(np.uint8)).astype(float)
    assert np.abs(lit - image).max() < 9  # the defect pulls the plane a little
    assert np.array_equal(level_light(np.full((60, 80, 3), 90, np.uint8)), np.full((60, 80, 3), 90))
    assert teacher().predict([(plate(3) + np.linspace(-40, 40, 64)[None, :, None]).astype(np.uint8)]).maps[0][
        6:10, 8:12].min() > 0.8


def test_an_even_image_has_no_odd_side():
    maps, scores = teacher().predict([np.full((64, 64, 3), 90, np.uint8), np.zeros((4, 4, 3), np.uint8)])
    assert not maps[0].any() and not maps[1].any() and scores.tolist() == [0, 0]
    assert not second_eigenvector(np.ones((2, 3), np.float32)).any()


def test_fine_features_are_averaged_to_a_grid_of_bounded_size():
    image = np.full((640, 320, 3), 120, np.uint8)
    image[:160, :80] = 220
    odd = teacher(long_side=640).predict([image]).maps[0]
    assert odd.shape == (CELLS, CELLS // 2) and odd[:8, :4].min() > 0.999 and odd[8:].max() < 1e-3


def test_it_needs_no_fit_and_is_the_same_alone_and_in_a_batch():
    made = TASK_UTILS.build(dict(type='NormalizedCutTeacher', **{**TOY, 'levels': (0, )}))
    images = [surface(1, defect=True), surface(2)]
    assert not made.needs_fit and made.calibration_scale == 1.0 and made.state_dict() == {}
    together = made.predict(images).maps
    for image, one in zip(images, together, strict=True):
        assert np.array_equal(made.predict([image]).maps[0], one)
    assert NormalizedCutTeacher(**made.settings).settings == made.settings


def test_neighbours_are_not_averaged():
    assert teacher()._features(surface(1))[3, 5] == pytest.approx(
        surface(1)[12:16, 20:24, ::-1].reshape(-1, 3).mean(0), abs=1e-3)


def test_normal_images_are_refused():
    with pytest.raises(ValueError, match='takes no normals'):
        teacher(normals=['a.png'])
