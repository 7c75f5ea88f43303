"""Choosing the size of training images from the images themselves."""
from pathlib import Path
from statistics import median

from PIL import Image

from ..images import ImageList, decode_values

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
            sides.append(_longer_side(images.path(images[index])))
        except Exception:  # noqa: BLE001 - damaged heads lead Pillow anywhere, and these images are listed with the maps
            continue
    if not sides:
        return _LEAST
    return min(max(-(-int(median(sides)) // _STEP) * _STEP, _LEAST), _LARGEST)


def _longer_side(path: Path) -> int:
    try:
        with Image.open(path) as image:  # the head alone is read
            return max(image.size)
    except Image.UnidentifiedImageError:  # there are kinds of TIFF that Pillow does not know
        return max(decode_values(path.read_bytes(), str(path)).shape[:2])
