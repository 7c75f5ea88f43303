"""Choosing the size of training images from the images themselves."""
from statistics import median

from PIL import Image

from ..images import ImageList

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
            with Image.open(images.path(images[index])) as image:
                sides.append(max(image.size))
        except OSError:
            continue  # skipped, counted and listed when the maps are made
    if not sides:
        return _LEAST
    return min(max(-(-int(median(sides)) // _STEP) * _STEP, _LEAST), _LARGEST)
