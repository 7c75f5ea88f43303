import cv2
import numpy as np
import pytest
from PIL import Image

from agssp_mm.images import UnreadableImageError, read_image


def gradient(dtype, top):
    return np.linspace(0, top, 6 * 5).reshape(6, 5).astype(dtype)


@pytest.mark.parametrize('suffix', ['png', 'bmp', 'tif'])
def test_grey_image_becomes_three_equal_channels(tmp_path, suffix):
    grey = gradient(np.uint8, 255)
    Image.fromarray(grey).save(tmp_path / f'a.{suffix}')
    image = read_image(tmp_path / f'a.{suffix}')
    assert image.dtype == np.uint8 and image.flags.c_contiguous
    np.testing.assert_array_equal(image, np.repeat(grey[..., None], 3, 2))


def test_colour_comes_in_bgr_order(tmp_path):
    Image.new('RGB', (3, 2), (10, 20, 30)).save(tmp_path / 'a.png')
    assert read_image(tmp_path / 'a.png')[0, 0].tolist() == [30, 20, 10]


@pytest.mark.parametrize('suffix', ['png', 'tif'])
@pytest.mark.parametrize('channels', [1, 3])
def test_sixteen_bits_are_scaled_by_a_fixed_range(tmp_path, suffix, channels):
    deep = np.squeeze(np.repeat(gradient(np.uint16, 60000)[..., None], channels, 2))
    cv2.imwrite(str(tmp_path / f'a.{suffix}'), deep)
    expected = np.rint(gradient(np.uint16, 60000) / 257.0)
    np.testing.assert_array_equal(read_image(tmp_path / f'a.{suffix}')[..., 1], expected)
    ranged = read_image(tmp_path / f'a.{suffix}', value_range=(1000, 3550))[..., 1]
    np.testing.assert_array_equal(ranged, np.clip(np.rint((gradient(np.uint16, 60000) - 1000.0) / 10), 0, 255))


def test_exif_orientation_is_applied(tmp_path):
    image = Image.fromarray(gradient(np.uint8, 255))
    exif = image.getexif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees
    image.save(tmp_path / 'a.jpg', exif=exif)
    assert read_image(tmp_path / 'a.jpg').shape == (5, 6, 3)


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'bmp', 'tif'])
def test_truncated_files_are_refused(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / f'a.{suffix}')
    data = (tmp_path / f'a.{suffix}').read_bytes()
    (tmp_path / f'a.{suffix}').write_bytes(data[:len(data) // 2])
    with pytest.raises(UnreadableImageError, match=f'a.{suffix}'):
        read_image(tmp_path / f'a.{suffix}')


def test_empty_and_foreign_files_are_refused(tmp_path):
    (tmp_path / 'empty.png').write_bytes(b'')
    (tmp_path / 'text.png').write_text('no image')
    with pytest.raises(UnreadableImageError, match='empty.png: the file is empty'):
        read_image(tmp_path / 'empty.png')
    with pytest.raises(UnreadableImageError, match='text.png: not an image'):
        read_image(tmp_path / 'text.png')
