"""TIFF files of more than 8 bits, of which Pillow and OpenCV know only some."""
import io
from typing import Any

import cv2
import numpy as np
from PIL import Image

from .errors import UnreadableImageError

# Numbers of TIFF tags and their values: TIFF revision 6.0, https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf
_BITS_PER_SAMPLE, _ORIENTATION = 258, 274
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2


def is_deep_tiff(image: Image.Image) -> bool:
    """Whether a TIFF that Pillow has opened holds samples of more than 8 bits."""
    tags = getattr(image, 'tag_v2', {})
    return max(tags.get(_BITS_PER_SAMPLE, (1, ))) > 8


def decode_deep_tiff(data: bytes, name: str) -> np.ndarray:
    """Decode the first page of a TIFF: integers or floats of any size, grey or RGB, planes together or apart.

    The orientation is applied, "white is zero" is turned round, alpha and other extra samples are dropped.

    Args:
        data: Content of the file.
        name: What error messages call it.

    Returns:
        (H, W) grey or (H, W, 3) BGR of the file's own type.

    Raises:
        UnreadableImageError: If the file is damaged, or neither grey nor RGB.
    """
    try:
        return _decode(data, name)
    except UnreadableImageError:
        raise
    except Exception as error:  # a damaged header may lead tifffile anywhere, MemoryError and struct.error among it
        raise UnreadableImageError(f'{name}: damaged, truncated or unusual TIFF '
                                   f'({type(error).__name__}: {error})') from error


def _decode(data: bytes, name: str) -> np.ndarray:
    import tifffile
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        photometric, orientation = int(page.photometric), int(getattr(page.tags.get(_ORIENTATION), 'value', 1))
        values = _samples(page, data)
    if photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB) or values.dtype.kind not in 'uif':
        raise UnreadableImageError(f'{name}: a TIFF must hold grey or RGB numbers, this one has photometric '
                                   f'interpretation {photometric} and {values.dtype} values')
    if photometric == _WHITE_IS_ZERO and values.dtype.kind == 'u':
        values = np.iinfo(values.dtype).max - values
    values = values[..., 2::-1] if photometric == _RGB else values[..., 0]
    return np.ascontiguousarray(_upright(values, orientation))


def _samples(page: Any, data: bytes) -> np.ndarray:
    """(H, W, samples) of one page."""
    if page.axes not in ('YX', 'YXS', 'SYX'):
        raise ValueError(f'axes {page.axes}, but one image of height and width is expected')
    together = page.axes != 'SYX'
    try:
        values = page.asarray()
    except ValueError as error:  # compressions that tifffile leaves to imagecodecs, LZW among them
        values = None
        if 'imagecodecs' in str(error) and together:  # OpenCV takes planes that lie apart for something else
            values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
        if values is None:
            raise
        if values.ndim == 3:
            values = values[..., [2, 1, 0, *range(3, values.shape[2])]]
    if values.ndim == 2:
        return values[..., None]
    return values if together else np.moveaxis(values, 0, 2)


def _upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """Undo the orientation tag: 5 to 8 are transposed, and each number is mirrored in its own way."""
    if orientation >= 5:
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values
