"""The model of usual texture, streamed, against plain numpy on everything at once."""
import numpy as np
import pytest

from agssp_mm.teachers.texture_statistics import (FRAME_BANDS, NUM_ZONES, TextureStatistics, usual_texture_of,
                                                  zone_members)


def image_features(seed, shift=0.0, shape=(44, 48)):
    return np.random.default_rng(seed).normal(shift, 1, (*shape, 2)).astype(np.float32)


def solve(images):
    statistics = TextureStatistics(2)
    for features in images:
        statistics.add(features)
    return statistics.solve()


def test_zones_part_the_grid_by_the_distance_from_the_frame():
    members = dict(zone_members(50, 60))
    assert sorted(np.concatenate(list(members.values())).tolist()) == list(range(3000))
    assert members[0].tolist() == [0, 59, 49 * 60, 49 * 60 + 59]  # the corner cells
    rows, columns = np.divmod(members[NUM_ZONES - 1], 60)
    assert rows.min() == columns.min() == FRAME_BANDS[-1] == 20
    assert (rows.max(), columns.max()) == (29, 39)
    assert zone_members(1, 1)[0][1].tolist() == [0]


def test_distances_are_whitened_root_mean_squares():
    images = [image_features(seed) for seed in range(40)]
    usual = solve(images)
    distances = usual.distances(images[0])
    assert distances.dtype == np.float32
    inside = np.abs(images[0])
    # Independent unit variances: the distance is about the root mean square of the two features.
    np.testing.assert_allclose(distances, np.sqrt((inside ** 2).mean(axis=-1)), atol=0.25)
    assert np.mean(np.square(distances)) == pytest.approx(1, abs=0.1)


def test_statistics_of_a_zone_equal_those_of_all_its_cells_at_once():
    images = [image_features(seed) @ np.array([[1, 0.5], [0, 2]], dtype=np.float32) for seed in range(30)]
    usual = solve(images)
    centred = [cells - np.median(cells[::2, ::2].reshape(-1, 2), axis=0) for cells in images]
    pooled_cells = [np.concatenate([cells.reshape(-1, 2)[members] for cells in centred])
                    for _, members in zone_members(44, 48)]
    scatters = [len(cells) * np.cov(cells.T, bias=True) for cells in pooled_cells]
    within = sum(scatters) / sum(map(len, pooled_cells))
    for (zone, _), cells in zip(zone_members(44, 48), pooled_cells, strict=True):
        weight = len(cells) / (len(cells) + 2000)
        covariance = weight * np.cov(cells.T, bias=True) + (1 - weight) * within
        factor = np.linalg.inv(usual.whitenings[zone])
        np.testing.assert_allclose(usual.zone_means[zone], weight * cells.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(factor @ factor.T, covariance, atol=1e-2)


def test_textures_that_differ_between_images_are_compared_with_their_own():
    one_kind = solve([image_features(seed) for seed in range(12)])
    two_kinds = solve([image_features(seed, shift=20 * (seed % 2)) for seed in range(12)])
    newcomer = image_features(99, shift=20)
    assert one_kind.distances(newcomer).mean() > 10
    assert two_kinds.distances(newcomer).mean() < 1.5
    np.testing.assert_allclose(one_kind.adaptation, 0, atol=0.05)


def test_what_every_image_shows_along_its_frame_is_usual_there_only():
    images = [image_features(seed) for seed in range(150)]
    for features in images:
        features[0] += 8  # the edge of a part along the upper side
    usual = solve(images)
    inside = image_features(50)
    inside[22] += 8
    assert usual.distances(images[0])[0].mean() < 0.6 * usual.distances(inside)[22].mean()


def test_a_single_image_is_its_own_measure():
    features = image_features(3)
    features[20:23, 20:23] += 6
    distances = usual_texture_of(features).distances(features)
    assert np.mean(np.square(distances)) == pytest.approx(1, abs=0.02)
    assert distances[20:23, 20:23].min() > 3 * np.median(distances)


def test_flat_features_stay_finite():
    flat = np.zeros((3, 5, 2), dtype=np.float32)
    assert not usual_texture_of(flat).distances(flat).any()
    assert not solve([flat]).distances(flat).any()
