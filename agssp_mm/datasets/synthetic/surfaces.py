"""Procedural metal surfaces, brushed, rolled, cast and ground, and the uneven light that falls on them."""
from typing import NamedTuple

import cv2
import numpy as np

from .noise import rotated_noise, smooth_noise, standardise

SURFACES = ('brushed', 'rolled', 'cast', 'ground')


class Surface(NamedTuple):
    """A defect-free surface.

    Attributes:
        kind: One of ``SURFACES``.
        reflectance: (H, W) float32 around 1.
        angle: Direction of working (brushing, rolling), radians, 0 = to the right.
    """
    kind: str
    reflectance: np.ndarray
    angle: float


def make_surface(rng: np.random.Generator, shape: tuple[int, int]) -> Surface:
    """Draw a surface of a random kind; ``shape`` is (height, width) in pixels."""
    kind = SURFACES[rng.integers(len(SURFACES))]
    quarter = rng.integers(2) * np.pi / 2
    angle = float(quarter + rng.normal(0.0, 0.06))
    texture, contrast = _TEXTURES[kind](rng, shape, angle)
    return Surface(kind, (1.0 + contrast * texture).astype(np.float32), angle)


def _brushed(rng: np.random.Generator, shape: tuple[int, int], angle: float) -> tuple[np.ndarray, float]:
    fine = rotated_noise(rng, shape, (0.45, rng.uniform(12, 40)), angle)
    coarse = rotated_noise(rng, shape, (rng.uniform(0.9, 1.8), rng.uniform(60, 200)), angle)
    bands = rotated_noise(rng, shape, (rng.uniform(5, 14), 400.0), angle)
    texture = fine + rng.uniform(0.5, 1.0) * coarse + rng.uniform(0.2, 0.6) * bands
    # heavy tails: a few hairlines stand out, as a brush leaves them
    texture = standardise(np.sign(texture) * np.abs(texture) ** rng.uniform(1.0, 1.4))
    return texture, rng.uniform(0.04, 0.10)


def _rolled(rng: np.random.Generator, shape: tuple[int, int], angle: float) -> tuple[np.ndarray, float]:
    grain = smooth_noise(rng, shape, (0.6, 0.6))
    stretched = rotated_noise(rng, shape, (rng.uniform(0.8, 1.6), rng.uniform(3, 9)), angle)
    mottle = rotated_noise(rng, shape, (rng.uniform(6, 14), rng.uniform(12, 40)), angle)
    roll_lines = rotated_noise(rng, shape, (rng.uniform(0.8, 2.5), 500.0), angle)
    texture = (rng.uniform(0.5, 1.0) * grain + rng.uniform(0.5, 1.2) * stretched
               + rng.uniform(0.3, 0.8) * mottle + rng.uniform(0.1, 0.6) * roll_lines)
    return standardise(texture), rng.uniform(0.03, 0.08)


def _cast(rng: np.random.Generator, shape: tuple[int, int], angle: float) -> tuple[np.ndarray, float]:
    relief = np.zeros(shape, np.float32)
    finest = rng.uniform(0.9, 1.8)
    for octave in range(4):
        relief += smooth_noise(rng, shape, (finest * 2.2 ** octave,) * 2) * 1.7 ** octave
    # the light comes from one side: slopes facing it are bright
    side = rng.uniform(0, 2 * np.pi)
    slope_x = cv2.Sobel(relief, cv2.CV_32F, 1, 0, ksize=3)
    slope_y = cv2.Sobel(relief, cv2.CV_32F, 0, 1, ksize=3)
    shading = standardise(np.cos(side) * slope_x + np.sin(side) * slope_y)
    grain = smooth_noise(rng, shape, (0.6, 0.6))
    texture = shading + rng.uniform(0.2, 0.5) * standardise(relief) + rng.uniform(0.2, 0.5) * grain
    return standardise(texture), rng.uniform(0.05, 0.12)


def _ground(rng: np.random.Generator, shape: tuple[int, int], angle: float) -> tuple[np.ndarray, float]:
    texture = _arcs(rng, shape, angle, fineness=rng.uniform(0.30, 0.45))
    if rng.random() < 0.5:
        texture = texture + rng.uniform(0.4, 0.9) * _arcs(rng, shape, angle + rng.uniform(0.4, 1.2),
                                                          fineness=rng.uniform(0.30, 0.55))
    texture = texture + rng.uniform(0.05, 0.3) * smooth_noise(rng, shape, (12.0, 12.0))
    return standardise(texture), rng.uniform(0.05, 0.11)


def _arcs(rng: np.random.Generator, shape: tuple[int, int], angle: float, fineness: float) -> np.ndarray:
    """Grinding marks: noise stretched along circles round a far centre, the axis of the wheel."""
    height, width = shape
    side = float(np.hypot(height, width))
    radius = side * rng.uniform(1.0, 6.0)
    centre = (width / 2 - radius * np.sin(angle), height / 2 + radius * np.cos(angle))
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    across = np.hypot(xs - centre[0], ys - centre[1])
    along = np.arctan2(ys - centre[1], xs - centre[0])
    turned = np.angle(np.exp(1j * (along - (angle - np.pi / 2)))).astype(np.float32) * radius
    across = (across - across.min()).astype(np.float32)
    turned = (turned - turned.min()).astype(np.float32)
    strip = (int(across.max()) + 3, int(turned.max()) + 3)
    marks = smooth_noise(rng, strip, (fineness, rng.uniform(10, 45)))
    deep = smooth_noise(rng, strip, (2 * fineness, rng.uniform(30, 90)))
    marks = marks + np.float32(rng.uniform(-1.2, 1.2)) * np.clip(deep - 1.6, 0, None)
    return standardise(cv2.remap(marks, turned, across, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))


_TEXTURES = {'brushed': _brushed, 'rolled': _rolled, 'cast': _cast, 'ground': _ground}


def make_light(rng: np.random.Generator, shape: tuple[int, int], angle: float) -> np.ndarray:
    """Draw uneven light: a gradient, a broad highlight, and sometimes edges that turn away from the lamp.

    Args:
        rng: Source of randomness.
        shape: (height, width), pixels.
        angle: Direction of working, radians; highlights on worked metal stretch across it.

    Returns:
        (height, width) float32, about 0.2 to 1.6, mean level chosen at random.
    """
    height, width = shape
    ys, xs = np.mgrid[-1:1:height * 1j, -1:1:width * 1j].astype(np.float32)
    side = rng.uniform(0, 2 * np.pi)
    light = 1.0 + rng.uniform(0.0, 0.35) * (np.cos(side) * xs + np.sin(side) * ys)
    x0, y0 = rng.uniform(-1.2, 1.2, 2)
    along = (xs - x0) * np.cos(angle) + (ys - y0) * np.sin(angle)
    across = -(xs - x0) * np.sin(angle) + (ys - y0) * np.cos(angle)
    narrow, long = rng.uniform(0.25, 0.9), rng.uniform(0.8, 2.5)
    light += rng.uniform(0.0, 0.5) * np.exp(-0.5 * ((along / narrow) ** 2 + (across / long) ** 2))
    if rng.random() < 0.3:
        distance = np.abs(across if rng.random() < 0.5 else along)
        light *= 1.0 - rng.uniform(0.2, 0.6) * np.clip(distance - rng.uniform(0.5, 0.9), 0, 1) ** 1.5
    light *= 1.0 + 0.04 * smooth_noise(rng, shape, (max(shape) / 5.0,) * 2)
    return (light * rng.uniform(0.28, 0.62)).astype(np.float32)
