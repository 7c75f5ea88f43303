import tracemalloc

import numpy as np
import pytest

from agssp_mm.teachers.feature_statistics import FeatureStatistics
from agssp_mm.teachers.image_sample import ImageSample
from agssp_mm.teachers.patch_sample import PatchSample


def test_every_vector_is_as_likely_to_stay():
    counts = np.zeros(40)
    for seed in range(400):
        sample = PatchSample(10, seed)
        for start in range(0, 40, 8):
            sample.add(np.arange(start, start + 8)[:, None])
        kept = sample.vectors()[:, 0].astype(int)
        assert len(kept) == 10 and sorted(kept) == list(kept)
        counts[kept] += 1
    assert counts.sum() == 4000 and counts == pytest.approx(100, abs=35)


def test_the_cut_into_blocks_plays_no_part():
    vectors = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32)
    whole, parts = PatchSample(50, 7), PatchSample(50, 7)
    whole.add(vectors)
    for start in range(0, 1000, 33):
        parts.add(vectors[start:start + 33])
    assert np.array_equal(whole.vectors(), parts.vectors()) and parts.num_seen == 1000
    assert not np.array_equal(whole.vectors(), PatchSample(50, 8).vectors())


def test_a_sample_of_images_keeps_their_patches_and_the_moments_of_all():
    rng = np.random.default_rng(0)
    images = [rng.normal(number, 2, (20, 3)) for number in range(30)]
    sample = ImageSample(5, 12, seed=0)
    for vectors in images:
        sample.add(vectors)
    kept = sample.images()
    assert [one.shape for one in kept] == [(12, 3)] * 5
    assert all(any((vectors == one[0]).all(1).any() for vectors in images) for one in kept)
    (mean, deviation), together = sample.moments(), np.concatenate(images)
    assert mean == pytest.approx(together.mean(0)) and deviation == pytest.approx(together.std(0))


def peak(make, number):
    """Most memory, in bytes, while so many images of 64 patches with 32 channels go through."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(64, 32)).astype(np.float32)
    tracemalloc.start()
    taker = make()
    for _ in range(number):
        taker.add(features + rng.random())
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


@pytest.mark.parametrize('make', [lambda: PatchSample(1000, 0), lambda: ImageSample(16, 64, 0), FeatureStatistics])
def test_memory_does_not_grow_with_the_images(make):
    few, many = peak(make, 2000), peak(make, 6000)
    assert many < 1.1 * few + 20_000


@pytest.mark.slow
@pytest.mark.parametrize('make', [lambda: PatchSample(10_000, 0), lambda: ImageSample(96, 64, 0), FeatureStatistics])
def test_a_hundred_and_twenty_thousand_images_fit(make):
    assert peak(make, 120_000) < 40 * 2 ** 20
