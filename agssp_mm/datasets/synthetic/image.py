"""One procedural photograph of a metal surface, with the truth about its defects."""
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from .defects import CATEGORIES, Defect, make_defect
from .noise import smooth_noise
from .surfaces import make_light, make_surface

MIN_SIZE = 32
_MIN_AREA = 8
_MAX_DEFECTS = 4


class SyntheticImage(NamedTuple):
    """An image and its truth.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        masks: (N, H, W) bool, one per defect.
        boxes: (N, 4) float32, half-open xyxy in pixels, tight round the masks.
        labels: (N,) int64, indices into ``CATEGORIES``.
        surface: One of ``SURFACES``.
    """
    image: np.ndarray
    masks: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    surface: str


def make_image(seed: int | Sequence[int], size: int | tuple[int, int],
               clean_share: float = 0.25) -> SyntheticImage:
    """Draw one metal surface with zero to four defects.

    Args:
        seed: Seed, one or several non-negative integers. Same seed, size and share: same bytes.
        size: Side in pixels, or (height, width); at least 32 each.
        clean_share: Probability in [0, 1] that the surface is free of defects.

    Raises:
        ValueError: If the size is too small or the share is no probability.
    """
    height, width = (size, size) if isinstance(size, int) else size
    shape = (height, width)
    if min(shape) < MIN_SIZE:
        raise ValueError(f'size {size} is too small for a surface with defects; give at least {MIN_SIZE}')
    if not 0 <= clean_share <= 1:
        raise ValueError(f'clean_share is {clean_share}; it is a probability, give a value in [0, 1]')
    rng = np.random.default_rng(seed)
    surface = make_surface(rng, shape)
    light = make_light(rng, shape, surface.angle)
    reflectance = surface.reflectance
    masks: list[np.ndarray] = []
    labels: list[int] = []
    if rng.random() >= clean_share:
        wanted = min(_MAX_DEFECTS, int(rng.geometric(0.45)))
        reflectance, masks, labels = _add_defects(rng, reflectance, surface.angle, wanted)
    image = _photograph(rng, reflectance * light)
    stacked = np.stack(masks) if masks else np.zeros((0, *shape), bool)
    return SyntheticImage(image, stacked, boxes_of(stacked), np.asarray(labels, np.int64), surface.kind)


def boxes_of(masks: np.ndarray) -> np.ndarray:
    """Tight boxes round masks.

    Args:
        masks: (N, H, W) bool, none of them empty.

    Returns:
        (N, 4) float32, half-open xyxy in pixels.
    """
    boxes = np.zeros((len(masks), 4), np.float32)
    for box, mask in zip(boxes, masks, strict=True):
        columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
        box[:] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes


def _add_defects(rng: np.random.Generator, reflectance: np.ndarray, angle: float,
                 wanted: int) -> tuple[np.ndarray, list[np.ndarray], list[int]]:
    """Put up to ``wanted`` defects where none touches another; at least one always finds its place."""
    occupied = np.zeros(reflectance.shape, bool)
    masks: list[np.ndarray] = []
    labels: list[int] = []
    for _ in range(20 * wanted):
        if len(masks) == wanted:
            break
        label = int(rng.integers(len(CATEGORIES)))
        defect = make_defect(rng, reflectance.shape, CATEGORIES[label], angle)
        mask = defect.support > 0.5
        if mask.sum() < _MIN_AREA or (mask & occupied).any():
            continue
        contrast = draw_contrast(rng, reflectance, mask)
        reflectance = np.clip(lay_over(reflectance, defect, contrast), 0.04, None)
        occupied |= cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        masks.append(mask)
        labels.append(label)
    return reflectance, masks, labels


def draw_contrast(rng: np.random.Generator, surface: np.ndarray, mask: np.ndarray,
                  range_of: tuple[float, float] = (0.11, 0.5)) -> float:
    """A contrast for a defect, which rises with the texture it has to stand out from.

    Args:
        rng: Source of randomness.
        surface: (H, W) or (H, W, C) float32, about 1 where the defect will lie.
        mask: (H, W) bool, where that is.
        range_of: What it would be between on a surface without texture.
    """
    near = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    roughness = float((surface - _smooth(surface))[near].std())
    # what covers few pixels has to differ more to be seen at all
    small = 1.0 + 12.0 / np.sqrt(mask.sum())
    return np.exp(rng.uniform(*np.log(range_of))) + rng.uniform(1.2, 2.2) * roughness * small


def lay_over(surface: np.ndarray, defect: Defect, contrast: float) -> np.ndarray:
    """Lay a defect over a surface.

    Args:
        surface: (H, W) or (H, W, C) float32.
        defect: Of the same height and width.
        contrast: Of :func:`draw_contrast`.

    Returns:
        Floats of the shape of the surface.
    """
    extra = (1, ) * (surface.ndim - 2)
    hidden = (defect.cover * defect.support).reshape(*defect.support.shape, *extra)
    covered = surface * (1 - hidden) + _smooth(surface) * hidden
    return covered + contrast * defect.tone.reshape(*defect.tone.shape, *extra)


def _smooth(surface: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(surface, (0, 0), 4.0).reshape(surface.shape)


def _photograph(rng: np.random.Generator, radiance: np.ndarray) -> np.ndarray:
    """Lens blur, shot noise, a slight tint on half of the cameras, eight bits."""
    shape = radiance.shape
    sharp = cv2.GaussianBlur(radiance.astype(np.float32), (0, 0), rng.uniform(0.35, 0.75))
    level = np.clip(sharp, 0, None)
    noisy = level + rng.uniform(0.004, 0.016) * np.sqrt(level) * smooth_noise(rng, shape, (0.4, 0.4))
    tint = rng.normal(0, 0.015, 3) if rng.random() < 0.5 else np.zeros(3)
    colour = noisy[..., None] * (1 + tint - tint.mean())
    # highlights bend off softly instead of being cut
    bent = np.where(colour > 0.8, 0.8 + 0.2 * np.tanh((colour - 0.8) / 0.2), colour)
    return np.ascontiguousarray(np.round(np.clip(bent, 0, 1) * 255).astype(np.uint8))
