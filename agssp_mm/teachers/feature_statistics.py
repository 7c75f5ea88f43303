"""Mean and covariance of a stream of feature vectors, in memory that does not grow."""
from typing import NamedTuple, Self

import numpy as np


class FeatureStatistics:
    """Streamed mean and covariance, merged block by block without cancellation.

    Source: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: np.ndarray | None = None
        self.scatter: np.ndarray | None = None

    def add(self, vectors: np.ndarray) -> Self:
        """Take in (N, C) vectors, N >= 1."""
        block = vectors.astype(np.float64)
        mean = block.mean(0)
        scatter = (block - mean).T @ (block - mean)
        if self.mean is None:
            self.count, self.mean, self.scatter = len(block), mean, scatter
            return self
        total, shift = self.count + len(block), mean - self.mean
        self.scatter += scatter + np.outer(shift, shift) * (self.count * len(block) / total)
        self.mean = self.mean + shift * (len(block) / total)
        self.count = total
        return self

    @property
    def covariance(self) -> np.ndarray:
        """(C, C) float64, divided by the number of vectors."""
        return np.asarray(self.scatter) / self.count


class Subspace(NamedTuple):
    """What patches usually look like: a point, a scale per channel, and directions of usual variation.

    Attributes:
        mean, scale: (C,) float64; features are centred and divided by them first.
        rest: (C, R) float64, directions of unusual variation, each divided by the usual spread along it.
    """

    mean: np.ndarray
    scale: np.ndarray
    rest: np.ndarray

    def residuals(self, vectors: np.ndarray) -> np.ndarray:
        """How far (N, C) vectors are from the subspace, in units of the usual spread: (N,) float64, 1 on average."""
        projected = ((vectors - self.mean) / self.scale) @ self.rest
        return np.sqrt(np.mean(projected ** 2, axis=1))


def subspace_of(statistics: FeatureStatistics, explained: float) -> Subspace:
    """The subspace that explains a share of the variance, by principal components of the scaled features.

    Args:
        statistics: Of at least two different vectors.
        explained: Least share of the variance inside the subspace, in [0, 1). With 0 nothing is inside, and the
            residual is the Mahalanobis distance.
    """
    variances = np.diag(statistics.covariance)
    scale = np.sqrt(np.maximum(variances, 1e-12 * max(variances.max(), 1e-12)))
    values, vectors = np.linalg.eigh(statistics.covariance / np.outer(scale, scale))
    values, vectors = values[::-1].clip(0), vectors[:, ::-1]
    inside = int(np.searchsorted(np.cumsum(values) / values.sum(), explained)) + 1 if explained else 0
    inside = min(inside, len(values) - 1)
    # The smallest spreads are noise of the estimate; below a thousandth of the largest they would drown the rest.
    spread = np.sqrt(np.maximum(values[inside:], 1e-3 * values[0]))
    return Subspace(np.asarray(statistics.mean), scale, vectors[:, inside:] / spread)
