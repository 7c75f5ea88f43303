"""Procedural surface defects: scratches, pits, inclusions, cracks, patches and scale of many sizes."""
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from .noise import draw_stroke, rotated_noise, smooth_noise

CATEGORIES = ('scratch', 'pit', 'inclusion', 'crack', 'patch', 'scale')


class Defect(NamedTuple):
    """What a defect does to the surface it lies on.

    Attributes:
        tone: (H, W) float32 in about [-1, 1], change of the reflectance in units of the contrast.
        support: (H, W) float32 in [0, 1], how much of a pixel the defect covers; above 0.5 it is in the mask.
        cover: How far the texture below is hidden where the defect lies, in [0, 1].
    """
    tone: np.ndarray
    support: np.ndarray
    cover: float


def make_defect(rng: np.random.Generator, shape: tuple[int, int], category: str, angle: float) -> Defect:
    """Draw one defect at a random place.

    Args:
        rng: Source of randomness.
        shape: (height, width) of the image, pixels.
        category: One of ``CATEGORIES``.
        angle: Direction of working of the surface, radians; rolled-in defects stretch along it.
    """
    return _MAKERS[category](rng, shape, angle)


def make_blob(rng: np.random.Generator, shape: tuple[int, int], size: tuple[float, float]) -> np.ndarray:
    """Draw an angular blob at a random place, of an outline that none of the categories has.

    Args:
        rng: Source of randomness.
        shape: (height, width) of the image, pixels.
        size: Smallest and largest radius, as a share of the shorter side.

    Returns:
        (H, W) float32 in [0, 1], how much of a pixel it covers; one connected part, whose edge may be soft.
    """
    radius = _size(rng, shape, *size)
    corners = int(rng.integers(5, 10))
    turns = np.sort(rng.uniform(0, 2 * np.pi, corners))
    reach = radius * rng.uniform(0.35, 1.0, corners)
    points = np.stack([np.cos(turns), np.sin(turns) * rng.uniform(0.35, 1.0)], 1) * reach[:, None]
    heading = rng.uniform(0, np.pi)
    turn = np.array([[np.cos(heading), -np.sin(heading)], [np.sin(heading), np.cos(heading)]])
    points = points @ turn.T + np.asarray(_centre(rng, shape))
    support = np.zeros(shape, np.float32)
    cv2.fillPoly(support, [np.round(points * 16).astype(np.int32)], 1.0, shift=4)
    return _largest_part(cv2.GaussianBlur(support, (0, 0), radius * rng.uniform(0.03, 0.12)))


def _size(rng: np.random.Generator, shape: tuple[int, int], low: float, high: float) -> float:
    """Log-uniform size between two fractions of the shorter side, pixels."""
    return float(min(shape) * np.exp(rng.uniform(np.log(low), np.log(high))))


def _centre(rng: np.random.Generator, shape: tuple[int, int], margin: float = 0.08) -> tuple[float, float]:
    """A random place (x, y), pixels, at least ``margin`` of each side away from the border."""
    across, down = rng.uniform(margin, 1 - margin, 2)
    return float(shape[1] * across), float(shape[0] * down)


def _shifted(field: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """The field moved by (dx, dy) pixels, zeros coming in."""
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    height, width = field.shape
    return cv2.warpAffine(field, matrix, (width, height), flags=cv2.INTER_LINEAR)


def _ellipse(shape: tuple[int, int], centre: tuple[float, float], radii: tuple[float, float],
             angle: float) -> np.ndarray:
    """(H, W) float32 distance from the centre in units of the radii (along, across): 1 on the ellipse."""
    ys, xs = np.mgrid[:shape[0], :shape[1]].astype(np.float32)
    xs, ys = xs - centre[0], ys - centre[1]
    along = xs * np.cos(angle) + ys * np.sin(angle)
    across = -xs * np.sin(angle) + ys * np.cos(angle)
    return np.hypot(along / max(radii[0], 0.5), across / max(radii[1], 0.5)).astype(np.float32)


def _largest_part(support: np.ndarray) -> np.ndarray:
    """The support without the crumbs that do not touch its largest component."""
    core = (support > 0.5).astype(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(core, connectivity=8)
    if count <= 2:
        return support
    keep = parts == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    halo = cv2.dilate(keep.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return np.where(halo, support, 0).astype(np.float32)


def _scratch(rng: np.random.Generator, shape: tuple[int, int], angle: float) -> Defect:
    length = _size(rng, shape, 0.14, 0.95)
    heading = angle + rng.normal(0, 0.12) if rng.random() < 0.5 else rng.uniform(0, np.pi)
    steps = 24
    turns = heading + np.cumsum(rng.normal(0, 0.012, steps)) + np.linspace(0, rng.normal(0, 0.25), steps)
    walk = np.cumsum(np.stack([np.cos(turns), np.sin(turns)], 1), axis=0) * (length / steps)
    points = np.asarray(_centre(rng, shape)) + walk - walk.mean(axis=0)
    widest = rng.uniform(0.9, 2.6) * max(1.0, min(shape) / 320)
    taper = np.sin(np.linspace(0.12, np.pi - 0.12, steps - 1)) ** 0.5
    support = draw_stroke(shape, points, widest * taper)
    # a tool skips: the groove is deep here and shallow there, but never gone
    depth = 0.78 + 0.22 * np.clip(smooth_noise(rng, shape, (min(shape) / 16,) * 2), -1, 1)
    shadow = _shifted(support, -np.sin(heading) * widest, np.cos(heading) * widest)
    tone = (support - rng.uniform(0.2, 0.7) * shadow * (1 - support)) * depth
    tone *= 1.0 if rng.random() < 0.75 else -0.8
    return Defect(tone.astype(np.float32), np.minimum(1, support * 1.3), 0.3)


def _pit(rng: np.random.Generator, shape: tuple[int, int], angle: float) -> Defect:
    """One crater, or a tight nest of them, lit from a side."""
    count = 1 if rng.random() < 0.5 else int(rng.integers(3, 10))
    centre, radius = _centre(rng, shape), _size(rng, shape, 0.016, 0.06 if count == 1 else 0.03)
    wobble = 1 + 0.18 * smooth_noise(rng, shape, (max(1.2, radius * 0.5),) * 2)
    support: np.ndarray = np.zeros(shape, np.float32)
    for _ in range(count):
        offset = rng.normal(0, 1, 2) * radius * (0 if count == 1 else 1.1 * count ** 0.5)
        own = radius * (1 if count == 1 else rng.uniform(0.45, 0.9))
        radii = (max(1.3, own), max(1.3, own * rng.uniform(0.65, 1.0)))
        place = (centre[0] + offset[0], centre[1] + offset[1])
        distance = _ellipse(shape, place, radii, rng.uniform(0, np.pi))
        support = np.maximum(support, np.clip((1.15 - distance * wobble) * own / 1.2, 0, 1))
    support = support if count > 1 else _largest_part(support)
    lamp, shift = rng.uniform(0, 2 * np.pi), max(0.8, 0.35 * radius)
    moved = _shifted(support, np.cos(lamp) * shift, np.sin(lamp) * shift)
    rim = np.clip(moved - support, 0, 1)
    floor = support * (0.55 + 0.7 * np.clip(1 - moved, 0, 1))
    tone = -floor + rng.uniform(0.3, 0.8) * rim
    return Defect(tone.astype(np.float32), support, 0.5)


def _inclusion(rng: np.random.Generator, shape: tuple[int, int], angle: float) -> Defect:
    """Foreign matter rolled out into a dark streak with ragged ends."""
    length = _size(rng, shape, 0.10, 0.5)
    width = max(1.6, length * rng.uniform(0.09, 0.30))
    heading = angle + rng.normal(0, 0.08)
    distance = _ellipse(shape, _centre(rng, shape), (length / 2, width / 2), heading)
    ragged = rotated_noise(rng, shape, (max(0.8, width / 4), max(2.5, length / 7)), heading)
    support = _largest_part(np.clip((1 - distance + 0.28 * ragged) * width / 1.6 + 0.5, 0, 1)
                            * (distance < 1.8))
    support = cv2.GaussianBlur(support, (0, 0), 0.6)
    body = 0.75 + 0.25 * np.clip(rotated_noise(rng, shape, (0.8, 4.0), heading), -1.5, 1)
    sign = -1.0 if rng.random() < 0.85 else 0.8
    return Defect((sign * support * body).astype(np.float32), support, 0.6)


def _crack(rng: np.random.Generator, shape: tuple[int, int], angle: float) -> Defect:
    """A jagged dark line that tapers and may branch, with a bright lip on one side."""
    length = _size(rng, shape, 0.14, 0.75)
    step = max(2.0, min(shape) / 90)
    widest = rng.uniform(0.8, 2.0) * max(1.0, min(shape) / 320)
    heading = rng.uniform(0, 2 * np.pi)
    trunk = _jagged(rng, heading, max(6, int(length / step)), step)
    trunk += np.asarray(_centre(rng, shape, 0.15)) - trunk.mean(axis=0)
    taper = np.linspace(1.0, 0.45, len(trunk) - 1)
    support = draw_stroke(shape, trunk, widest * taper)
    for _ in range(int(rng.integers(0, 4))):
        start = int(rng.integers(1, len(trunk) - 2))
        turn = heading + rng.choice([-1, 1]) * rng.uniform(0.4, 1.2)
        count = max(3, int((len(trunk) - start) * rng.uniform(0.2, 0.6)))
        branch = trunk[start] + _jagged(rng, turn, count, step)
        support = np.maximum(support, draw_stroke(shape, branch, widest * np.linspace(0.8, 0.4, count)))
    lip = _shifted(support, 1.2 * np.cos(heading + 1.57), 1.2 * np.sin(heading + 1.57)) * (1 - support)
    tone = -support + rng.uniform(0.0, 0.45) * lip
    return Defect(tone.astype(np.float32), np.minimum(1, support * 1.3), 0.5)


def _jagged(rng: np.random.Generator, heading: float, count: int, step: float) -> np.ndarray:
    """(count + 1, 2) vertices of a walk that keeps its heading but not its line, starting at (0, 0)."""
    kinks = heading + rng.normal(0, 0.55, count) + np.cumsum(rng.normal(0, 0.10, count))
    moves = np.stack([np.cos(kinks), np.sin(kinks)], 1) * step * rng.uniform(0.5, 1.5, (count, 1))
    return np.concatenate([np.zeros((1, 2)), np.cumsum(moves, axis=0)])


def _patch(rng: np.random.Generator, shape: tuple[int, int], angle: float) -> Defect:
    """A stain: a blotch with an irregular outline, darker or brighter than the metal, which shows through."""
    radius = _size(rng, shape, 0.07, 0.26)
    radii = (radius, radius * rng.uniform(0.35, 1.0))
    heading = angle if rng.random() < 0.6 else rng.uniform(0, np.pi)
    distance = _ellipse(shape, _centre(rng, shape), radii, heading)
    outline = 0.24 * smooth_noise(rng, shape, (radius / 2.2,) * 2)
    outline += 0.09 * smooth_noise(rng, shape, (radius / 8,) * 2)
    sharpness = radius / rng.uniform(1.5, 5.0)
    support = _largest_part(np.clip((1 - distance + outline) * sharpness + 0.5, 0, 1) * (distance < 1.9))
    mottle = 0.75 + 0.25 * np.clip(smooth_noise(rng, shape, (max(1.5, radius / 5),) * 2), -1.5, 1)
    edge = np.clip(support * (1 - support) * 4, 0, 1)
    sign = -1.0 if rng.random() < 0.75 else 0.8
    tone = sign * (support * mottle * 0.8 + rng.uniform(0, 0.35) * edge)
    return Defect(tone.astype(np.float32), support, 0.25)


def _scale(rng: np.random.Generator, shape: tuple[int, int], angle: float) -> Defect:
    """Oxide rolled in: a field of dark flakes stretched along the rolling direction."""
    length = _size(rng, shape, 0.2, 0.65)
    radii = (length / 2, length / 2 * rng.uniform(0.25, 0.7))
    distance = _ellipse(shape, _centre(rng, shape), radii, angle)
    outline = 1 - distance + 0.22 * smooth_noise(rng, shape, (length / 7,) * 2)
    support = _largest_part(np.clip(outline * length / 8 + 0.5, 0, 1) * (distance < 1.7))
    grain = rng.uniform(0.6, 1.2) * max(1.0, min(shape) / 320)
    flakes = rotated_noise(rng, shape, (grain, grain * rng.uniform(1.5, 4.0)), angle)
    dense = np.clip(outline, 0, 0.4)
    tone = -np.clip((flakes - rng.uniform(0.4, 0.9) + 1.2 * dense) * 1.6, 0, 1) * support - 0.12 * support
    return Defect(tone.astype(np.float32), support, 0.15)


_MAKERS: dict[str, Callable[[np.random.Generator, tuple[int, int], float], Defect]] = dict(
    scratch=_scratch, pit=_pit, inclusion=_inclusion, crack=_crack, patch=_patch, scale=_scale)
