"""Reading 8-bit and deeper, grey or colour images into the one form everything else expects."""
import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from .deep_tiff import decode_deep_tiff, is_deep_tiff
from .errors import UnreadableImageError
from .scaling import ValueRange, scale_to_bytes

_GREY_MODES = ('1', 'L')
_COLOUR_MODES = ('LA', 'P', 'PA', 'RGB', 'RGBA', 'RGBX', 'CMYK', 'YCbCr', 'LAB', 'HSV')
_TIFF_HEADS = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')


def read_image(path: str | Path, value_range: ValueRange | None = None) -> np.ndarray:
    """Read one image file.

    EXIF orientation is applied, as MMDetection's own loader does, so that maps, boxes and training images agree; for
    WebP that loader leaves it out, and LoadIndustrialImage has to stand in its place.
    Grey becomes three equal channels, palettes become colours, CMYK becomes RGB by Pillow's plain conversion, alpha
    is dropped (what lies under it stays), and of several pages or frames the first one counts.

    Args:
        path: PNG, JPEG, BMP, TIFF or WebP file.
        value_range: Grey values (low, high) that become 0 and 255, for images of more than 8 bits; values outside
            are clipped. The default is the full range of the type, so nothing is guessed per image. Images of 8
            bits keep their values.

    Returns:
        (H, W, 3) uint8, BGR, C-contiguous.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableImageError: If the file is empty, truncated or not an image, or holds floating-point values that
            are not finite or come without a range.
    """
    return decode_image(Path(path).read_bytes(), str(path), value_range)


def decode_image(data: bytes, name: str, value_range: ValueRange | None = None) -> np.ndarray:
    """Decode the bytes of an image file; see :func:`read_image`.

    Args:
        data: Content of the file.
        name: What error messages call it.
        value_range: As in :func:`read_image`.

    Raises:
        UnreadableImageError: As in :func:`read_image`.
    """
    values = decode_values(data, name)
    if values.dtype != np.uint8:
        values = scale_to_bytes(values, name, value_range)
    # Three channels only now: a deep grey image of many megapixels is held once, not three times.
    return cv2.cvtColor(values, cv2.COLOR_GRAY2BGR) if values.ndim == 2 else np.ascontiguousarray(values)


def decode_values(data: bytes, name: str) -> np.ndarray:
    """Decode the bytes of an image file without touching its grey values.

    Args:
        data: Content of the file.
        name: What error messages call it.

    Returns:
        (H, W) grey or (H, W, 3) BGR: uint8, or for deep images the file's own type.

    Raises:
        UnreadableImageError: If the bytes are empty, truncated or not an image.
    """
    if not data:
        raise UnreadableImageError(f'{name}: the file is empty (0 bytes)')
    try:
        # Pillow, not OpenCV, decides whether a file is whole: OpenCV fills a truncated JPEG with grey and returns it.
        with Image.open(io.BytesIO(data)) as image:
            if not _is_deep(image, data):
                _drop_xmp(image)  # a TIFF makes up its mind while it loads
                image.load()
                return _eight_bit_values(image)
            image.verify()  # checksums alone: the pixels are decoded below, once
    except Image.UnidentifiedImageError:
        if data[:4] not in _TIFF_HEADS:  # there are kinds of TIFF that Pillow does not know
            raise UnreadableImageError(f'{name}: not an image (PNG, JPEG, BMP, TIFF or WebP is expected)') from None
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(f'{name}: too many pixels ({error}); cut the image into parts') from error
    except Exception as error:  # damaged headers and EXIF data lead Pillow anywhere, struct.error among it
        raise UnreadableImageError(f'{name}: damaged or truncated image ({type(error).__name__}: {error})') from error
    if data[:4] in _TIFF_HEADS:
        return decode_deep_tiff(data, name)
    return _deep_values(data, name)


def _is_deep(image: Image.Image, data: bytes) -> bool:
    # Pillow silently cuts 16-bit colour to 8 bits; byte 24 of a PNG is the bit depth.
    if image.format == 'TIFF':
        return is_deep_tiff(image)
    return image.format == 'PNG' and data[24] == 16 or image.mode not in (*_GREY_MODES, *_COLOUR_MODES)


def _eight_bit_values(image: Image.Image) -> np.ndarray:
    _drop_xmp(image)
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode in _GREY_MODES:
        return np.asarray(image.convert('L') if image.mode == '1' else image)
    return cv2.cvtColor(np.asarray(image.convert('RGB')), cv2.COLOR_RGB2BGR)


def _drop_xmp(image: Image.Image) -> None:
    for packet in ('xmp', 'XML:com.adobe.xmp'):  # Pillow takes an orientation from there too, OpenCV does not
        image.info.pop(packet, None)


def _deep_values(data: bytes, name: str) -> np.ndarray:
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
    if values is None:
        raise UnreadableImageError(f'{name}: not an image that can be decoded')
    return values
