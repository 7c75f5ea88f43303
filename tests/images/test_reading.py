import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile
from PIL.PngImagePlugin import PngInfo

from agssp_mm.images import UnreadableImageError, read_image
from agssp_mm.images.reading import decode_values


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


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'tif'])
def test_an_orientation_in_an_xmp_packet_turns_nothing_as_opencv_turns_nothing(tmp_path, suffix):
    packet = '<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    note = PngInfo()
    note.add_itxt('XML:com.adobe.xmp', packet)
    more = dict(jpg=dict(xmp=packet.encode()), png=dict(pnginfo=note), tif=dict(tiffinfo={700: packet.encode()}))
    Image.fromarray(gradient(np.uint8, 255)).save(tmp_path / f'a.{suffix}', **more[suffix])
    assert b'Orientation="6"' in (tmp_path / f'a.{suffix}').read_bytes()
    assert read_image(tmp_path / f'a.{suffix}').shape == cv2.imread(str(tmp_path / f'a.{suffix}')).shape == (6, 5, 3)


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'bmp', 'tif'])
def test_truncated_files_are_refused(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / f'a.{suffix}')
    data = (tmp_path / f'a.{suffix}').read_bytes()
    (tmp_path / f'a.{suffix}').write_bytes(data[:len(data) // 2])
    with pytest.raises(UnreadableImageError, match=f'a.{suffix}'):
        read_image(tmp_path / f'a.{suffix}')


@pytest.mark.parametrize('shape', [(40, 50), (40, 50, 3)])
def test_damaged_deep_pngs_are_refused(shape):
    noise = np.random.default_rng(0).integers(0, 65536, shape, dtype=np.uint16)
    data = cv2.imencode('.png', noise)[1].tobytes()
    assert np.array_equal(decode_values(data, 'x'), noise)
    for place in range(40, len(data), len(data) // 20):
        changed = data[:place] + bytes([data[place] ^ 4]) + data[place + 1:]
        for damaged in (data[:place], changed):
            with pytest.raises(UnreadableImageError, match='^x: '):
                decode_values(damaged, 'x')


@pytest.mark.parametrize('suffix', ['png', 'tif'])
def test_deep_images_are_decoded_once(tmp_path, monkeypatch, suffix):
    """Pillow only looks at them: for 12 megapixels its decoding takes as long as the one that counts."""
    values = np.arange(600, dtype=np.uint16).reshape(20, 30) * 100
    cv2.imwrite(str(tmp_path / f'a.{suffix}'), values)
    monkeypatch.setattr(ImageFile.ImageFile, 'load', lambda image: pytest.fail('decoded by Pillow'))
    assert np.array_equal(read_image(tmp_path / f'a.{suffix}')[..., 0], np.rint(values / 257))


def test_empty_and_foreign_files_are_refused(tmp_path):
    (tmp_path / 'empty.png').write_bytes(b'')
    (tmp_path / 'text.png').write_text('no image')
    with pytest.raises(UnreadableImageError, match='empty.png: the file is empty'):
        read_image(tmp_path / 'empty.png')
    with pytest.raises(UnreadableImageError, match='text.png: not an image'):
        read_image(tmp_path / 'text.png')
