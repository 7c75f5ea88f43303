"""Choosing the size of training images from the images themselves."""
from pathlib import Path
from statistics import median

from PIL import Image

from ..images import ImageList, UnreadableImageError, decode_values

_SAMPLE, _STEP, _LEAST, _LARGEST = 200, 64, 256, 800


def choose_image_size(images: ImageList) -> int:
    """Half of the images are no longer than this: the median of their longer sides, rounded up.

    Args:
        images: The images; 200 of them, evenly spread over the list, are looked at.

    Returns:
        Pixels, a multiple of 64 of at least 256, or 800 where that is less.
    """
    sides = []
    for index in range(0, len(images), max(len(images) // _SAMPLE, 1)):
        try:
            sides.append(max(read_size(images.path(images[index]))))
        except (UnreadableImageError, Image.DecompressionBombError):  # these images are listed with the maps
            continue
    if not sides:
        return _LEAST
    return min(max(-(-int(median(sides)) // _STEP) * _STEP, _LEAST), _LARGEST)


def read_size(path: Path) -> tuple[int, int]:
    """(height, width) of an image in pixels, as it is stored; of most kinds the head alone is read.

    Raises:
        UnreadableImageError: If it is no image, or a damaged one.
        PIL.Image.DecompressionBombError: If it is larger than Pillow takes for meant.
    """
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except Image.UnidentifiedImageError:  # there are kinds of TIFF that Pillow does not know
        return decode_values(path.read_bytes(), str(path)).shape[:2]
    except Image.DecompressionBombError:
        raise
    except Exception as error:  # damaged heads lead Pillow anywhere
        raise UnreadableImageError(f'{path}: {error}') from error
