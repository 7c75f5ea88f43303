"""Fits on made features: the memory that a fit takes does not grow with the images."""
import tracemalloc

import numpy as np
import pytest

from agssp_mm.teachers import subspace
from agssp_mm.teachers.mutual import MutualTeacher
from agssp_mm.teachers.patch_memory import PatchMemoryTeacher
from agssp_mm.teachers.subspace import SubspaceTeacher

GRID, CHANNELS = (8, 8), 32
TOY = dict(backbone=dict(type='Averages'), levels=(0, ))


def made_features(number, wanted=None):
    """Features of so many images, each made when it is asked for."""
    for seed in range(number):
        features = np.random.default_rng(seed).normal(size=(*GRID, CHANNELS)).astype(np.float32)
        if wanted is not None:
            wanted.append(features)
        yield features


def peak_of_fit(teacher, number):
    """Most bytes that NumPy held at once while a teacher was fitted on made features."""
    teacher._stream = made_features
    tracemalloc.start()
    try:
        teacher.fit(number)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize('make', [
    lambda: SubspaceTeacher(**TOY),
    lambda: MutualTeacher(num_references=16, **TOY),
    lambda: PatchMemoryTeacher(bank_size=200, **TOY),
    lambda: PatchMemoryTeacher(bank_size=1000, selection='random', **TOY),
])
def test_ten_times_the_images_take_no_more_memory(monkeypatch, make):
    monkeypatch.setattr(subspace, '_HELD', 64 * 2 ** 10)  # the features of eight images
    peak_of_fit(make(), 100)  # what is only imported at the first use
    few, many = peak_of_fit(make(), 100), peak_of_fit(make(), 1000)
    assert many < 1.25 * few < 0.5 * 1000 * np.prod(GRID) * CHANNELS * 4


def test_the_subspace_of_the_first_images_trims_all_of_them(monkeypatch):
    monkeypatch.setattr(subspace, '_HELD', 64 * 2 ** 10)
    whole, seen = [], []
    fitted = SubspaceTeacher(trim=0.25, **TOY)
    fitted._stream = lambda number: made_features(number, seen)
    fitted.fit(40)
    assert len(seen) == 40  # each image was looked at once
    list(made_features(40, whole))
    vectors = np.stack(whole).reshape(40, -1, CHANNELS)
    first = subspace.subspace_of(subspace.FeatureStatistics().add(vectors[:8].reshape(-1, CHANNELS)), 0.9)
    kept = np.concatenate([own[np.argsort(first.residuals(own))[:48]] for own in vectors])
    assert fitted.state_dict()['mean'].numpy() == pytest.approx(kept.mean(0), abs=1e-5)
    assert fitted.state_dict()['scale'].numpy() == pytest.approx(kept.std(0), abs=1e-5)
