"""What texture is usual in a set of images: streamed over the images, in bounded memory, exact."""
from typing import NamedTuple

import numpy as np

#: Lower ends, in cells, of the bands of distance from the frame within which statistics are kept apart.
FRAME_BANDS = (0, 1, 2, 4, 6, 9, 13, 20)
#: A zone is a band of distance from the left or right side and one of distance from the top or bottom.
NUM_ZONES = len(FRAME_BANDS) ** 2

_ADAPTATION = 1.0  # variance of the texture within an image that one image's median weighs against the set's
_ZONE_PRIOR = 2000.0  # cells of pooled statistics that every zone starts from; neighbouring cells are alike
_RELATIVE_FLOOR, _ABSOLUTE_FLOOR = 1e-3, 1e-4  # of variances: flat and tiny images stay invertible


class UsualTexture(NamedTuple):
    """Gaussian model of the features (D values) of a sound cell in zone z of an image with feature median m.

    The mean is ``centre + adaptation @ (m - centre) + zone_means[z]``: textures that differ between images
    are compared with their own image, those that do not with the set, so that a defect that fills half an
    image still stands out. Zones tell the edges of parts, which many images show along their frame, from
    defects.

    Attributes:
        centre: (D,) median over the images of their medians.
        adaptation: (D, D) share of an image's deviation from ``centre`` that counts as its own texture.
        zone_means: (NUM_ZONES, D) mean deviation from the median of the image.
        whitenings: (NUM_ZONES, D, D) inverse Cholesky factors of the covariance.
    """

    centre: np.ndarray
    adaptation: np.ndarray
    zone_means: np.ndarray
    whitenings: np.ndarray

    def distances(self, features: np.ndarray) -> np.ndarray:
        """Root mean square of the whitened features, (h, w, D) -> (h, w) float32; about 1 on usual cells."""
        height, width, dims = features.shape
        usual = self.centre + self.adaptation @ (_median(features) - self.centre)
        cells = (features.reshape(-1, dims) - usual).T.copy()
        squares = np.empty(height * width)
        for zone, members in zone_members(height, width):
            # einsum and not @: images are scored in threads, and those of a BLAS would wait for one another
            whitened = np.einsum('ed,dn->en', self.whitenings[zone], cells[:, members] - self.zone_means[zone][:, None])
            squares[members] = np.einsum('en,en->n', whitened, whitened)
        return np.sqrt(squares / dims).reshape(height, width).astype(np.float32)


class TextureStatistics:
    """Accumulates images one by one, then gives their :class:`UsualTexture`."""

    def __init__(self, num_features: int) -> None:
        self._medians: list[np.ndarray] = []
        self._counts = np.zeros(NUM_ZONES)
        self._sums = np.zeros((NUM_ZONES, num_features))
        self._products = np.zeros((NUM_ZONES, num_features, num_features))

    @property
    def num_images(self) -> int:
        return len(self._medians)

    def add(self, features: np.ndarray) -> None:
        """Take in the features of one image, (h, w, D) float."""
        cells = features.reshape(-1, features.shape[-1]).astype(np.float64)
        self._medians.append(_median(features))
        cells -= self._medians[-1]
        for zone, members in zone_members(*features.shape[:2]):
            chosen = cells[members]
            self._counts[zone] += len(chosen)
            self._sums[zone] += chosen.sum(axis=0)
            self._products[zone] += chosen.T @ chosen

    def solve(self) -> UsualTexture:
        """The model of everything added so far; at least one image is needed."""
        counts = self._counts[:, None, None]
        means = self._sums / np.maximum(self._counts, 1)[:, None]
        scatters = self._products - counts * means[:, :, None] * means[:, None, :]
        within = scatters.sum(axis=0) / self._counts.sum()
        weights = counts / (counts + _ZONE_PRIOR)
        covariances = (scatters + _ZONE_PRIOR * within) / (counts + _ZONE_PRIOR)
        medians = np.stack(self._medians)
        between = np.cov(medians, rowvar=False, bias=True)
        floor = _floor(within)
        adaptation = between @ np.linalg.inv(between + _ADAPTATION * within + floor)
        return UsualTexture(np.median(medians, axis=0), adaptation, means * weights[:, 0],
                            np.linalg.inv(np.linalg.cholesky(covariances + floor)))


def usual_texture_of(features: np.ndarray) -> UsualTexture:
    """The model of one image alone, without zones: what a cell is compared with when nothing was fitted."""
    cells = features.reshape(-1, features.shape[-1]).astype(np.float64)
    covariance = np.cov(cells, rowvar=False, bias=True)
    dims = cells.shape[1]
    whitening = np.linalg.inv(np.linalg.cholesky(covariance + _floor(covariance)))
    return UsualTexture(np.zeros(dims), np.eye(dims), np.zeros((NUM_ZONES, dims)),
                        np.broadcast_to(whitening, (NUM_ZONES, dims, dims)))


def zone_members(height: int, width: int) -> list[tuple[int, np.ndarray]]:
    """Zones that a (height, width) grid has, each with the flat indices of its cells."""
    bands = []
    for length in (height, width):
        distance = np.minimum(np.arange(length), np.arange(length)[::-1])
        bands.append(np.searchsorted(FRAME_BANDS, distance, side='right') - 1)
    zones = (bands[0][:, None] * len(FRAME_BANDS) + bands[1]).ravel().astype(np.uint8)
    order = np.argsort(zones, kind='stable')
    members = np.split(order, np.flatnonzero(np.diff(zones[order])) + 1)
    return [(int(zones[cells[0]]), cells) for cells in members]


def _median(features: np.ndarray) -> np.ndarray:
    """Median over a fourth of the cells, which is as good and four times as fast."""
    return np.median(features[::2, ::2].reshape(-1, features.shape[-1]), axis=0).astype(np.float64)


def _floor(covariance: np.ndarray) -> np.ndarray:
    dims = len(covariance)
    return (_RELATIVE_FLOOR * np.trace(covariance) / dims + _ABSOLUTE_FLOOR) * np.eye(dims)
