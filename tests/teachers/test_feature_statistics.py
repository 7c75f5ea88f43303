import numpy as np
import pytest

from agssp_mm.teachers.feature_statistics import FeatureStatistics, subspace_of


def vectors(count, seed=0):
    """Spread 4 and 2 along the first two of three axes, 0.1 along the third."""
    return np.random.default_rng(seed).normal((5, -3, 100), (4, 2, 0.1), (count, 3))


def test_streamed_statistics_are_those_of_all_vectors():
    everything = vectors(1000)
    statistics = FeatureStatistics()
    for block in np.split(everything.astype(np.float32), [1, 10, 400]):
        statistics.add(block)
    assert statistics.count == 1000
    assert statistics.mean == pytest.approx(everything.mean(0), rel=1e-5)
    assert statistics.covariance == pytest.approx(np.cov(everything.T, bias=True), rel=1e-3, abs=1e-4)


def test_a_hundred_and_twenty_thousand_blocks_need_no_more_memory_than_one():
    statistics, block = FeatureStatistics().add(vectors(4)), vectors(4, seed=1)
    size = statistics.mean.nbytes + statistics.scatter.nbytes
    for _ in range(120_000):
        statistics.add(block)
    arrays = [value for value in vars(statistics).values() if isinstance(value, np.ndarray)]
    assert sum(array.nbytes for array in arrays) == size
    assert statistics.count == 4 * 120_001
    assert statistics.mean == pytest.approx(block.mean(0), rel=1e-3)


def test_the_residual_counts_only_what_lies_off_the_subspace():
    shared = np.random.default_rng(0).normal(size=(4000, 1))
    noise = np.random.default_rng(1).normal(size=(4000, 1))
    usual = np.hstack([shared + 0.1 * noise, shared - 0.1 * noise])
    subspace = subspace_of(FeatureStatistics().add(usual), explained=0.9)
    assert subspace.rest.shape == (2, 1)
    along, off = subspace.mean + [3.0, 3.0], subspace.mean + [0.3, -0.3]
    # along the line any distance is usual; off it 0.3 is three standard deviations of the noise
    assert subspace.residuals(np.stack([along, off])) == pytest.approx([0.0, 3.0], abs=0.15)
    assert np.sqrt(np.mean(subspace.residuals(usual) ** 2)) == pytest.approx(1.0, abs=0.01)


def test_nothing_inside_is_the_mahalanobis_distance():
    usual = vectors(3000)
    subspace = subspace_of(FeatureStatistics().add(usual), explained=0)
    inverse = np.linalg.inv(np.cov(usual.T, bias=True))
    some = vectors(5, seed=3) - usual.mean(0)
    expected = np.sqrt(np.einsum('ni,ij,nj->n', some, inverse, some) / 3)
    assert subspace.residuals(some + usual.mean(0)) == pytest.approx(expected, rel=1e-4)
