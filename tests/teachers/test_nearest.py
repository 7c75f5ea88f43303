import numpy as np
import pytest
import torch

from agssp_mm.teachers.nearest import Bank, coreset


def test_distances_are_those_of_all_pairs_over_several_chunks():
    generator = torch.Generator().manual_seed(0)
    bank, queries = torch.randn(9000, 5, generator=generator), torch.randn(700, 5, generator=generator)
    pairs = torch.cdist(queries.double(), bank.double()).sort(1).values
    assert Bank(bank).distances(queries).numpy() == pytest.approx(pairs[:, 0].numpy(), abs=2e-3)
    assert Bank(bank).distances(queries, 3).numpy() == pytest.approx(pairs[:, :3].mean(1).numpy(), abs=2e-3)
    assert Bank(bank[:2]).distances(queries[:4], 9).shape == (4, )


def test_the_coreset_covers_every_cluster():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(6, 80)) * 20
    rare = [1, 2, 1, 3, 500, 500]  # a random sample of 6 would miss the rare ones
    vectors = np.concatenate([centre + rng.normal(size=(number, 80)) for centre, number in zip(centres, rare)])
    chosen = coreset(vectors.astype(np.float32), 6, seed=1)
    assert chosen.shape == (6, 80) and chosen.dtype == np.float32
    nearest = np.linalg.norm(chosen[:, None] - centres, axis=-1).argmin(1)
    assert sorted(nearest) == [0, 1, 2, 3, 4, 5]
    assert np.array_equal(coreset(vectors.astype(np.float32), 6, seed=1), chosen)
    assert len(coreset(vectors[:4].astype(np.float32), 6, seed=1)) == 4
