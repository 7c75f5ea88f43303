"""Every format at every depth: made files come back with the values that were put in."""
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from agssp_mm.images import UnreadableImageError, decode_image, decode_values, read_image

HEIGHT, WIDTH = 12, 10
RAMP = np.linspace(0, 1, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
COLOUR = np.stack([RAMP, RAMP ** 2, 1 - RAMP], axis=-1)  # red, green, blue


def of_type(values, dtype):
    """Values in [0, 1] over the full range of an integer type, or as they are."""
    if np.issubdtype(dtype, np.floating):
        return values.astype(dtype)
    info = np.iinfo(dtype)
    return np.rint(values * (float(info.max) - info.min) + info.min).astype(dtype)


def expected(rgb_or_grey):
    """(H, W, 3) BGR of values in [0, 1], in steps of 1 / 255."""
    rgb = np.repeat(rgb_or_grey[..., None], 3, 2) if rgb_or_grey.ndim == 2 else rgb_or_grey
    return np.rint(rgb[..., ::-1] * 255)


def tiff(values, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


def pillow(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def check(data, values, tolerance=1, **options):
    image = decode_image(data, 'made', **options)
    assert image.dtype == np.uint8 and image.flags.c_contiguous and image.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(image - expected(values)).max() <= tolerance


@pytest.mark.parametrize('values', [RAMP, COLOUR], ids=['grey', 'colour'])
@pytest.mark.parametrize('kind, tolerance', [('png', 1), ('bmp', 1), ('tiff', 1), ('jpeg', 6), ('webp', 1)])
def test_eight_bits(kind, tolerance, values):
    picture = Image.fromarray(of_type(values, np.uint8))
    options = dict(jpeg=dict(quality=100, subsampling=0), webp=dict(lossless=True)).get(kind, {})
    check(pillow(picture, kind, **options), values, tolerance)


@pytest.mark.parametrize('values', [RAMP, COLOUR], ids=['grey', 'colour'])
@pytest.mark.parametrize('suffix', ['.png', '.tiff'])
def test_sixteen_bits_and_fixed_ranges(tmp_path, suffix, values):
    deep = of_type(values, np.uint16)
    cv2.imwrite(str(tmp_path / f'a{suffix}'), deep if deep.ndim == 2 else deep[..., ::-1])
    np.testing.assert_array_equal(read_image(tmp_path / f'a{suffix}'), expected(deep / 65535))
    ranged = read_image(tmp_path / f'a{suffix}', value_range=(20000, 30200))
    np.testing.assert_array_equal(ranged, expected(np.clip(np.rint((deep - 20000.0) / 40), 0, 255) / 255))


@pytest.mark.parametrize('layout', [{}, dict(byteorder='>'), dict(bigtiff=True), dict(compression='zlib'),
                                    dict(tile=(16, 16)), dict(rowsperstrip=5)], ids=str)
@pytest.mark.parametrize('dtype', [np.uint16, np.int16, np.uint32, np.int32, np.float16, np.float32, np.float64])
def test_deep_grey_tiff(dtype, layout):
    low, high = (0, 1) if np.issubdtype(dtype, np.floating) else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    check(tiff(of_type(RAMP, dtype), **layout), RAMP, value_range=(low, high))


@pytest.mark.parametrize('planes', ['contig', 'separate'])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
def test_colour_tiff_with_planes_together_and_apart(dtype, planes):
    values = of_type(COLOUR, dtype)
    data = tiff(values if planes == 'contig' else np.moveaxis(values, 2, 0).copy(), photometric='rgb',
                planarconfig=planes)
    check(data, COLOUR, value_range=(0, 1) if dtype == np.float32 else None)


def test_sixteen_bit_tiff_with_a_compression_that_needs_opencv():
    check(pillow(Image.fromarray(of_type(RAMP, np.uint16)), 'tiff', compression='tiff_lzw'), RAMP)
    colour = of_type(COLOUR, np.uint16)[..., ::-1]
    lzw = cv2.imencode('.tiff', colour, [cv2.IMWRITE_TIFF_COMPRESSION, 5])[1].tobytes()
    check(lzw, COLOUR)


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_white_is_zero_is_turned_round(dtype):
    check(tiff(of_type(1 - RAMP, dtype), photometric='miniswhite'), RAMP)


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_alpha_is_dropped_and_what_lies_under_it_stays(dtype):
    colour = of_type(COLOUR, dtype)
    transparent = np.dstack([colour, np.zeros_like(colour[..., 0])])
    check(cv2.imencode('.png', transparent[..., [2, 1, 0, 3]])[1].tobytes(), COLOUR)
    check(tiff(transparent, photometric='rgb', extrasamples=['unassalpha']), COLOUR)
    if dtype == np.uint8:
        grey = Image.merge('LA', [Image.fromarray(of_type(RAMP, dtype)), Image.new('L', (WIDTH, HEIGHT), 0)])
        check(pillow(grey, 'png'), RAMP)


def test_sixteen_bit_grey_png_with_alpha():
    rows = np.stack([of_type(RAMP, np.uint16), np.zeros((HEIGHT, WIDTH), np.uint16)], -1).astype('>u2')

    def chunk(kind, content):
        return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', zlib.crc32(kind + content))

    data = b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', WIDTH, HEIGHT, 16, 4, 0, 0, 0)) + chunk(
        b'IDAT', zlib.compress(b''.join(b'\0' + row.tobytes() for row in rows))) + chunk(b'IEND', b'')
    check(data, RAMP)


def test_palettes_become_colours_and_bits_black_and_white():
    palette = Image.fromarray(np.arange(120, dtype=np.uint8).reshape(HEIGHT, WIDTH), mode='P')
    palette.putpalette([channel for index in range(120) for channel in (index, 255 - index, 7)])
    check(pillow(palette, 'png'), np.stack([np.arange(120), 255 - np.arange(120), np.full(120, 7)], -1).reshape(
        HEIGHT, WIDTH, 3) / 255, 0)
    check(pillow(Image.fromarray(RAMP > 0.5), 'png'), (RAMP > 0.5).astype(float), 0)
    check(pillow(Image.fromarray(RAMP > 0.5), 'tiff'), (RAMP > 0.5).astype(float), 0)


def test_cmyk_jpeg_becomes_rgb():
    ink = Image.new('CMYK', (WIDTH, HEIGHT), (0, 128, 255, 0))  # full red, half green, no blue
    image = decode_image(pillow(ink, 'jpeg', quality=100), 'made')
    assert np.abs(image[0, 0].astype(int) - [0, 127, 255]).max() <= 3


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('kind', ['jpeg', 'png8', 'png16', 'tiff8', 'tiff16', 'tiff float'])
def test_orientation_is_applied_alike_to_every_format(kind, orientation):
    methods = {2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM, 5: Image.TRANSPOSE,
               6: Image.ROTATE_270, 7: Image.TRANSVERSE, 8: Image.ROTATE_90}  # of the EXIF standard
    picture = Image.fromarray(of_type(RAMP, np.uint8))
    shown = picture.transpose(methods[orientation]) if orientation > 1 else picture
    exif = Image.Exif()
    exif[0x0112] = orientation
    tag = dict(extratags=[(274, 'H', 1, orientation, True)])
    if kind == 'jpeg':
        data = pillow(picture, 'jpeg', quality=100, exif=exif)
    elif kind.startswith('png'):
        data = pillow(picture if kind == 'png8' else Image.fromarray(of_type(RAMP, np.uint16)), 'png', exif=exif)
    else:
        dtype = dict(tiff8=np.uint8, tiff16=np.uint16).get(kind, np.float32)
        data = tiff(of_type(RAMP, dtype), **tag)
    image = decode_image(data, 'made', (0, 1) if kind == 'tiff float' else None)
    assert image.shape[:2] == shown.size[::-1]
    assert np.abs(image[..., 0].astype(int) - np.asarray(shown)).max() <= (4 if kind == 'jpeg' else 1)


def test_of_several_pages_the_first_counts():
    for dtype in (np.uint8, np.uint16):
        pages = np.stack([of_type(RAMP, dtype), of_type(1 - RAMP, dtype)])
        check(tiff(pages, photometric='minisblack'), RAMP)


def test_values_come_in_the_type_of_the_file():
    deep = decode_values(tiff(of_type(RAMP, np.uint16)), 'made')
    np.testing.assert_array_equal(deep, of_type(RAMP, np.uint16))
    assert decode_values(pillow(Image.fromarray(of_type(RAMP, np.uint8)), 'png'), 'made').shape == (HEIGHT, WIDTH)


@pytest.mark.parametrize('dtype', [np.uint16, np.uint32, np.float32])
@pytest.mark.parametrize('layout', [{}, dict(compression='zlib'), dict(tile=(16, 16))], ids=str)
def test_truncated_deep_tiff_is_refused(dtype, layout):
    noise = np.random.default_rng(0).integers(0, 60000, (64, 64)).astype(dtype)
    data = tiff(noise, **layout)
    with pytest.raises(UnreadableImageError, match='cut.tif: damaged'):
        decode_image(data[:len(data) // 2], 'cut.tif', (0, 60000))


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('compression', [None, 'tiff_lzw'])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_damaged_tiff_is_refused_or_read_but_raises_nothing_else(dtype, compression):
    made = io.BytesIO()
    Image.fromarray(of_type(RAMP, dtype)).save(made, 'tiff', compression=compression)
    whole, random = made.getvalue(), np.random.default_rng(0)
    cut = [whole[:length] for length in range(1, 200)]
    zeroed = [whole[:length] + bytes(len(whole) - length) for length in range(1, len(whole), 41)]
    changed = []
    for place in [*range(200), *range(len(whole) - 200, len(whole))]:
        changed.append(whole[:place] + bytes([random.integers(256)]) + whole[place + 1:])
    refused = 0
    for data in (*cut, *zeroed, *changed):
        try:
            decode_image(data, 'a.tif')
        except UnreadableImageError as error:
            refused += 'a.tif: ' in str(error)
    assert refused > len(cut)


def test_tiff_of_other_things_than_grey_and_rgb_is_refused():
    with pytest.raises(UnreadableImageError, match='a.tif: a TIFF must hold grey or RGB numbers'):
        decode_image(tiff(np.zeros((8, 8), np.complex64)), 'a.tif', (0, 1))
    with pytest.raises(UnreadableImageError, match='a.tif: .*axes ZYX'):
        decode_image(tiff(np.zeros((16, 16, 16), np.uint16), photometric='minisblack', volumetric=True,
                          tile=(16, 16, 16)), 'a.tif')


def test_too_many_pixels_are_an_unreadable_image(monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 20)
    with pytest.raises(UnreadableImageError, match='huge.png: too many pixels .*; cut the image into parts'):
        decode_image(pillow(Image.fromarray(of_type(RAMP, np.uint8)), 'png'), 'huge.png')
