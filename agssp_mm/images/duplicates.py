"""Near-duplicates between two sets of images: the same picture re-encoded, re-exposed, turned or mirrored."""
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from .listing import ImageEntry, ImageList
from .reading import read_image

_SIDE = 64  # pixels of a signature's side: fine enough for texture, coarse enough to forget compression
_SHADING = 4.0  # pixels of the signature: what is smoother is light, which unrelated images share


class Duplicate(NamedTuple):
    """Two images that show the same picture.

    Attributes:
        first, second: Their names in the two lists.
        similarity: Correlation of their signatures, at most 1.
    """

    first: str
    second: str
    similarity: float


def find_duplicates(first: ImageList, second: ImageList, threshold: float = 0.9) -> list[Duplicate]:
    """Pairs of images, one of each list, that show the same picture.

    An image is reduced to 64x64 grey values without their smooth part and of unit norm, so brightness, contrast and
    shading do not count; the second one is compared in its eight turned and mirrored forms. The memory needed is
    16 KiB per image of the first list.

    Args:
        first: E.g. the images of the pretraining.
        second: E.g. the images of the evaluation.
        threshold: Lowest correlation that counts as the same picture, in (0, 1].

    Returns:
        For each image of ``second`` that has one its most similar partner, most similar first.

    Raises:
        ValueError: If the threshold is outside (0, 1].
    """
    if not 0 < threshold <= 1:
        raise ValueError(f'threshold must be above 0 and at most 1, got {threshold}')
    names = [entry.name for entry in first]
    signatures = np.empty((len(names), _SIDE * _SIDE), np.float32)
    for row, entry in zip(signatures, first, strict=True):
        row[:] = _signature(_grey(first, entry))
    found = []
    for entry in second:
        turned = np.stack([_signature(one) for one in _orientations(_grey(second, entry))])
        similarities = (signatures @ turned.T).max(1)
        best = int(similarities.argmax())
        if similarities[best] >= threshold:
            found.append(Duplicate(names[best], entry.name, float(similarities[best])))
    return sorted(found, key=lambda pair: (-pair.similarity, pair.second))


def _grey(images: ImageList, entry: ImageEntry) -> np.ndarray:
    grey = cv2.cvtColor(read_image(images.path(entry)), cv2.COLOR_BGR2GRAY)
    grey = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    return grey - cv2.GaussianBlur(grey, (0, 0), _SHADING)


def _signature(grey: np.ndarray) -> np.ndarray:
    centred = grey.ravel() - grey.mean()
    # An even image looks like no other: its signature is zero, which correlates with nothing.
    return centred / max(float(np.linalg.norm(centred)), 1e-3 * _SIDE)


def _orientations(grey: np.ndarray) -> Iterator[np.ndarray]:
    for turns in range(4):
        turned = np.rot90(grey, turns)
        yield turned
        yield turned[:, ::-1]
