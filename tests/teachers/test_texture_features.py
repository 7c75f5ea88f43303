"""Descriptors see texture, not light, and treat both axes alike."""
import cv2
import numpy as np
import pytest

from agssp_mm.teachers.texture_features import NUM_FEATURES, texture_features, to_working_grey

#: Where each channel goes when the image is transposed: x and y change places, the diagonals stay.
SWAPPED = [0, 1, 2, 4, 3, 5, 6, 8, 7, 10, 9, 12, 11]


def noise(height=48, width=64, seed=0):
    return np.random.default_rng(seed).normal(120, 8, (height, width)).astype(np.float32)


def test_shape_covers_odd_sizes():
    assert texture_features(noise(47, 61), 2).shape == (24, 31, NUM_FEATURES)


def test_transposing_the_image_transposes_the_features():
    grey = noise()
    straight, turned = texture_features(grey, 2), texture_features(np.ascontiguousarray(grey.T), 2)
    np.testing.assert_allclose(turned.swapaxes(0, 1)[..., SWAPPED], straight, atol=1e-3)


@pytest.mark.parametrize(('stride', 'atol'), [(1, 1e-4), (2, 0.05), (4, 0.15)])
def test_pooling_over_cells_is_as_wide_as_over_pixels(stride, atol):
    grey = noise(64, 96)

    def blur(channel, sigma):
        return cv2.GaussianBlur(channel, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)

    log = np.log(grey + 10)
    log -= blur(log, 8)
    roughness = 0.5 * np.log(blur(log * log, 3) - blur(log, 3) ** 2 + 1e-5)
    contrast = blur(log, 1) - blur(log, 4)
    features = texture_features(grey, stride)
    for channel, at_pixels in ((0, contrast), (2, roughness)):
        expected = cv2.resize(at_pixels, features.shape[1::-1], interpolation=cv2.INTER_AREA)
        np.testing.assert_allclose(features[..., channel], expected, atol=atol)


def test_dimmer_and_slanted_light_change_little():
    grey = noise()
    slope = np.linspace(0.7, 1.3, 48, dtype=np.float32)[:, None]
    bright, lit = texture_features(grey, 2), texture_features(grey * slope, 2)
    rough = texture_features(120 + 2 * (grey - 120), 2)
    inner = np.s_[4:-4, 4:-4]
    assert np.abs(lit - bright)[inner].mean(axis=(0, 1)).max() < 0.15
    # Twice the contrast: every logarithm of a deviation rises by ln 2.
    assert (rough - bright)[inner][..., 2:9].mean() == pytest.approx(np.log(2), abs=0.05)


def test_the_lay_of_vertical_lines_keeps_on_along_y_only():
    lines = np.repeat(noise(1, 64), 48, axis=0)
    features = texture_features(lines, 2)
    assert features[..., 11].mean() > 0.95 and np.abs(features[..., 12]).max() < 1e-3
    assert features[..., 9].mean() > features[..., 10].mean() + 2
    assert np.abs(texture_features(noise(), 2)[..., 11]).mean() < 0.3


def test_dark_spots_are_negatively_skewed():
    grey = np.full((48, 64), 120, dtype=np.float32)
    grey[20:24, 30:34] = 60
    assert texture_features(grey, 2)[11, 16, 1] < -0.5
    assert texture_features(240 - grey, 2)[11, 16, 1] > 0.5


def test_working_grey_shrinks_but_never_enlarges():
    image = np.zeros((300, 100, 3), dtype=np.uint8)
    image[..., 2] = 100  # red weighs 0.299
    assert to_working_grey(image, 150).shape == (150, 50)
    assert to_working_grey(image, 400).shape == (300, 100)
    assert to_working_grey(image, 150).max() == 30
