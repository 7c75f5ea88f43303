"""Reading 8- and 16-bit, grey or colour images into the one form everything else expects."""
import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

_EIGHT_BIT_MODES = ('1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA', 'RGBX', 'CMYK', 'YCbCr', 'LAB', 'HSV')


class UnreadableImageError(ValueError):
    """A file that is no image, is empty, or is damaged."""


def read_image(path: str | Path, value_range: tuple[float, float] | None = None) -> np.ndarray:
    """Read one image file.

    EXIF orientation is applied, as MMDetection's own loader does, so that maps, boxes and training images agree.

    Args:
        path: PNG, JPEG, BMP, TIFF or WebP file.
        value_range: Grey values (low, high) that become 0 and 255, for images of more than 8 bits; values outside
            are clipped. The default is the full range of the type, so nothing is guessed per image.

    Returns:
        (H, W, 3) uint8, BGR, C-contiguous.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableImageError: If the file is empty, truncated or not an image.
    """
    return decode_image(Path(path).read_bytes(), str(path), value_range)


def decode_image(data: bytes, name: str, value_range: tuple[float, float] | None = None) -> np.ndarray:
    """Decode the bytes of an image file; see :func:`read_image`.

    Args:
        data: Content of the file.
        name: What error messages call it.
        value_range: As in :func:`read_image`.

    Raises:
        UnreadableImageError: If the bytes are empty, truncated or not an image.
    """
    if not data:
        raise UnreadableImageError(f'{name}: the file is empty (0 bytes)')
    try:
        # Pillow, not OpenCV, decides whether a file is whole: OpenCV fills a truncated JPEG with grey and returns it.
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            if _is_eight_bit(image, data):
                rgb = np.asarray(ImageOps.exif_transpose(image).convert('RGB'))
                return np.ascontiguousarray(rgb[:, :, ::-1])
    except Image.UnidentifiedImageError:
        if data[:4] not in (b'II*\0', b'MM\0*'):  # OpenCV reads kinds of TIFF that Pillow does not know
            raise UnreadableImageError(f'{name}: not an image (PNG, JPEG, BMP, TIFF or WebP is expected)') from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise UnreadableImageError(f'{name}: damaged or truncated image ({error})') from error
    return _decode_deep(data, name, value_range)


def _is_eight_bit(image: Image.Image, data: bytes) -> bool:
    # Pillow silently cuts 16-bit colour to 8 bits; byte 24 of a PNG and tag 258 of a TIFF are the bit depth.
    deep = (image.format == 'PNG' and data[24] == 16
            or image.format == 'TIFF' and max(image.tag_v2.get(258, (8, ))) > 8)
    return image.mode in _EIGHT_BIT_MODES and not deep


def _decode_deep(data: bytes, name: str, value_range: tuple[float, float] | None) -> np.ndarray:
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if values is None:
        raise UnreadableImageError(f'{name}: not an image that can be decoded')
    return scale_to_bytes(values, name, value_range)


def scale_to_bytes(values: np.ndarray, name: str, value_range: tuple[float, float] | None) -> np.ndarray:
    """Bring grey values of any type to uint8 with one fixed linear map.

    Args:
        values: (H, W, 3), any integer or floating dtype.
        name: What error messages call the image.
        value_range: (low, high) that become 0 and 255; ``None`` = full range of an integer dtype.

    Raises:
        ValueError: If the range is empty.
        UnreadableImageError: If floating-point values come without a range.
    """
    if value_range is None:
        if not np.issubdtype(values.dtype, np.integer):
            raise UnreadableImageError(f'{name}: {values.dtype} grey values have no natural range; '
                                       'give value_range=(low, high)')
        value_range = (np.iinfo(values.dtype).min, np.iinfo(values.dtype).max)
    low, high = value_range
    if not low < high:
        raise ValueError(f'value_range must be (low, high) with low < high, got {value_range}')
    scaled = (values.astype(np.float32) - low) * (255.0 / (high - low))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
