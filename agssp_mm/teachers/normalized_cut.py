"""A frozen-feature teacher that learns nothing: each image is cut in two, what is odd in it and the rest."""
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from mmengine.registry import TASK_UTILS
from scipy.sparse.linalg import ArpackNoConvergence, eigsh

from .base import AnomalyMaps
from .feature_teacher import FeatureTeacher, flat

#: Cells along the longer side of the grid that is cut; finer features are averaged. The cost grows with the
#: fourth power.
CELLS = 32
_TEMPERATURE = 0.2  # of the affinities
_LIGHT_CELLS = 64  # along each side of the picture that the light is fitted to
_ROUNDS = 3
_TINY = 1e-6
_TOLERANCE = 1e-4


@TASK_UTILS.register_module()
class NormalizedCutTeacher(FeatureTeacher):
    """Scores patches by the side they take when their image is cut in two where its features resemble each other least.

    The second eigenvector of the normalised affinities of the patches (normalised cut, Shi and Malik,
    https://doi.org/10.1109/34.868688; on frozen features: TokenCut, https://arxiv.org/abs/2202.11539). Affinities are
    ``exp(cosine / 0.2)`` of the features, centred over the image, on a grid of at most 32 cells along a side. The side
    that reaches farther from the median, as the smaller one does, is called the odd one; maps are in [0, 1], its end at
    1. A slope of the light across the image is taken out first: it would be what the cut finds.

    It compares an image with itself alone. Its maps end sharply where a texture does, so that boxes cut from them are
    tighter than those of other teachers; but every image has an odd side, whether it has a defect or not, and defects
    that are small or without an edge are lost. It is for images that show little more than a large defect, in an
    ensemble with ``texture`` (``docs/teachers.md``).

    Args:
        *args, **settings: Of :class:`agssp_mm.teachers.feature_teacher.FeatureTeacher`; ``normals`` have no use here.

    Raises:
        ValueError: If a setting is out of range, or normal images are given.
    """

    version = 2
    needs_fit = False
    calibration_scale = 1.0
    neighbourhood = 1  # averages blur the edges that the cut looks for
    default_levels, default_long_side = (1, ), 384

    def __init__(self, *args: Any, **settings: Any) -> None:
        if settings.get('normals') is not None:
            raise ValueError('NormalizedCutTeacher compares each image with itself and takes no normals; leave them '
                             'out, or use subspace, mutual, patch-memory or texture')
        super().__init__(*args, **settings)

    @property
    def is_fitted(self) -> bool:
        return True

    def predict(self, images: Sequence[np.ndarray]) -> AnomalyMaps:
        return super().predict([level_light(image) for image in images])

    def score(self, features: np.ndarray) -> np.ndarray:
        """(h, w, C) float32 features -> (h', w') float32 map in [0, 1] whose sides are at most :data:`CELLS`."""
        height, width = features.shape[:2]
        part = CELLS / max(height, width)
        if part < 1:
            size = max(1, round(height * part)), max(1, round(width * part))
            channels_first = torch.from_numpy(features).permute(2, 0, 1)[None]
            features = F.adaptive_avg_pool2d(channels_first, size)[0].permute(1, 2, 0).numpy()
        return _odd_side(second_eigenvector(flat(features))).reshape(features.shape[:2])


def level_light(image: np.ndarray) -> np.ndarray:
    """Take the plane out that fits the brightness of an image best; its mean stays.

    Args:
        image: (H, W, 3) uint8.

    Returns:
        Likewise.
    """
    grey = image.mean(2, dtype=np.float32)
    small = cv2.resize(grey, (_LIGHT_CELLS, _LIGHT_CELLS), interpolation=cv2.INTER_AREA)
    place = np.linspace(-1, 1, _LIGHT_CELLS)
    terms = np.stack([np.ones(small.shape), *np.meshgrid(place, place)], -1).reshape(-1, 3)
    weights = np.ones(len(terms))
    for _ in range(_ROUNDS):  # Huber's weights: a large defect is not the light
        root = np.sqrt(weights)
        plane = np.linalg.lstsq(terms * root[:, None], small.ravel() * root, rcond=None)[0]
        rest = np.abs(small.ravel() - terms @ plane)
        weights = 1 / np.maximum(1, rest / (1.5 * 1.4826 * np.median(rest) + _TINY))
    across, down = (np.linspace(-1, 1, size) for size in image.shape[1::-1])
    slope = plane[1] * across[None] + plane[2] * down[:, None]
    return (image - slope[..., None]).round().clip(0, 255).astype(np.uint8)


def second_eigenvector(vectors: np.ndarray) -> np.ndarray:
    """Solution of the normalised cut of N vectors.

    Args:
        vectors: (N, C) float32, finite.

    Returns:
        (N,) float32 of any scale and sign; zeros if all vectors are alike.
    """
    centred = vectors - vectors.mean(0)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    if len(vectors) < 3 or lengths.max() <= _TINY * max(np.abs(vectors).max(), _TINY):
        return np.zeros(len(vectors), np.float32)
    unit = centred / np.maximum(lengths, _TINY)
    affinities = np.exp(unit @ unit.T / _TEMPERATURE)
    roots = np.sqrt(affinities.sum(1))
    affinities /= roots[:, None] * roots[None]
    first = roots / np.linalg.norm(roots)
    affinities -= first[:, None] * first[None]  # what is left has the second eigenvector as its first
    start = np.random.default_rng(0).standard_normal(len(vectors)).astype(np.float32)
    try:
        second = eigsh(affinities, k=1, which='LA', v0=start, tol=_TOLERANCE)[1][:, 0]
    except ArpackNoConvergence:  # no cut is better than another
        return np.zeros(len(vectors), np.float32)
    return (second / roots).astype(np.float32)


def _odd_side(values: np.ndarray) -> np.ndarray:
    """Turn (N,) values so that the one farthest from their median is high, and bring them to [0, 1]."""
    from_median = values - np.median(values)
    if from_median.max() < -from_median.min():
        values = -values
    low, high = values.min(), values.max()
    return ((values - low) / (high - low) if high > low else np.zeros_like(values)).astype(np.float32)
