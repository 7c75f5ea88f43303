"""The figures of map quality, against closed forms and a slow reference."""
import numpy as np
import pytest

from agssp_mm.maps.quality import PixelQuality, aupro, auroc, average_precision, best_f1, score_levels


def reference(scores, mask, regions):
    """Every figure from its definition, threshold by threshold."""
    defective, sound = scores[mask], scores[~mask]
    pairs = (defective[:, None] > sound).mean() + 0.5 * (defective[:, None] == sound).mean()
    precision_sum = f1 = recall_before = area = 0
    rates, heights = [0.0], [0.0]
    for threshold in sorted(set(scores.tolist()), reverse=True):
        hits, alarms = (defective >= threshold).sum(), (sound >= threshold).sum()
        precision_sum += hits / (hits + alarms) * (hits / len(defective) - recall_before)
        recall_before = hits / len(defective)
        f1 = max(f1, 2 * hits / (hits + alarms + len(defective)))
        rates.append(alarms / len(sound))
        heights.append(np.mean([(scores[regions == region] >= threshold).mean() for region in (1, 2)]))
    for left, right, low, high in zip(rates, rates[1:], heights, heights[1:], strict=False):
        end = min(right, 0.3)
        if end > left:
            area += (end - left) * (low + (low + (high - low) * (end - left) / (right - left))) / 2
    return pairs, area / 0.3, precision_sum, f1


def two_regions():
    regions = np.zeros((12, 16), dtype=int)
    regions[1:5, 2:5], regions[7:9, 8:14] = 1, 2
    return regions


def test_all_figures_equal_the_slow_reference():
    rng = np.random.default_rng(0)
    regions = two_regions()
    mask = regions > 0
    scores = (rng.integers(0, 40, mask.shape) + 12 * mask).astype(np.float32)  # with ties
    quality = PixelQuality()
    quality.add(scores, mask)
    report = quality.report()
    pairs, pro, precision, f1 = reference(scores.ravel(), mask.ravel(), regions.ravel())
    assert report.auroc == pytest.approx(pairs, abs=1e-12) == report.auroc_per_image
    assert report.aupro == pytest.approx(pro, abs=1e-12)
    assert report.average_precision == pytest.approx(precision, abs=1e-12)
    assert report.best_f1 == pytest.approx(f1, abs=1e-12)
    assert (report.num_images, report.num_defective) == (1, 1)


def test_streaming_equals_one_long_image():
    rng = np.random.default_rng(1)
    maps = [rng.random((6, 8)).astype(np.float32) for _ in range(3)]
    masks = [rng.random((6, 8)) > 0.7, np.zeros((6, 8), dtype=bool), rng.random((6, 8)) > 0.5]
    streamed, whole = PixelQuality(), PixelQuality()
    for anomaly_map, mask in zip(maps, masks, strict=True):
        streamed.add(anomaly_map, mask)
    # A sound column between the images keeps their regions apart; it is ignored.
    gap = np.zeros((6, 1))
    joined, ignore = np.hstack([masks[0], gap, masks[1], gap, masks[2]]) > 0, np.zeros((6, 26), dtype=bool)
    ignore[:, [8, 17]] = True
    whole.add(np.hstack([maps[0], gap, maps[1], gap, maps[2]]).astype(np.float32), joined, ignore)
    one, other = streamed.report(), whole.report()
    for figure in ('auroc', 'aupro', 'average_precision', 'best_f1'):
        assert getattr(one, figure) == pytest.approx(getattr(other, figure), abs=1e-12)
    assert (one.num_images, one.num_defective) == (3, 2)


def test_perfect_useless_and_inverted_maps():
    mask = two_regions() > 0
    for scores, expected in ((mask, 1.0), (np.full(mask.shape, 0.5), 0.5), (~mask, 0.0)):
        quality = PixelQuality()
        quality.add(scores.astype(np.float32), mask)
        report = quality.report()
        assert report.auroc == report.auroc_per_image == expected
        assert report.average_precision == pytest.approx(1.0 if expected == 1 else mask.mean())
        # A constant map goes straight from (0, 0) to (1, 1): the mean height up to 0.3 is 0.15.
        assert report.aupro == pytest.approx({1.0: 1.0, 0.5: 0.15, 0.0: 0.0}[expected])


def test_every_region_weighs_the_same_in_aupro():
    mask = np.zeros((20, 20), dtype=bool)
    mask[2:12, 2:12], mask[16, 16] = True, True
    scores = np.zeros(mask.shape, dtype=np.float32)
    scores[2:12, 2:12] = 1  # 100 of 101 defective pixels found, yet one region of two
    quality = PixelQuality()
    quality.add(scores, mask)
    # Height 0.5 at rate 0, then a straight line to 1 at rate 1: mean height up to 0.3 is 0.5 + 0.15 / 2.
    assert quality.report().aupro == pytest.approx(0.575)


def test_regions_touching_at_a_corner_are_one():
    mask = np.zeros((6, 6), dtype=bool)
    mask[1, 1] = mask[2, 2] = True
    scores = np.zeros((6, 6), dtype=np.float32)
    scores[1, 1] = 1
    quality = PixelQuality()
    quality.add(scores, mask)
    assert quality.report().aupro == pytest.approx(0.575)


def test_sound_images_lower_the_set_but_not_the_mean_per_image():
    mask = two_regions() > 0
    quality = PixelQuality()
    quality.add(mask.astype(np.float32), mask)
    quality.add(np.full(mask.shape, 2, dtype=np.float32), np.zeros_like(mask))
    report = quality.report()
    sound = (~mask).sum()
    assert report.auroc_per_image == 1.0
    assert report.auroc == pytest.approx(sound / (sound + mask.size))


def test_maps_are_resized_bilinearly():
    quality = PixelQuality()
    quality.add(np.array([[0, 1]], dtype=np.float32), np.array([[False, False, True, True]]))
    assert quality.report().auroc == 1.0  # 0, 0.25, 0.75, 1


def test_levels_keep_the_order_to_a_twentieth_of_a_per_cent():
    scores = np.array([0, 1e-30, 1e-3, 1e-3 * 1.0006, 1, 1.0006, 7e9], dtype=np.float32)
    assert (np.diff(score_levels(scores)) > 0).all()
    assert score_levels(np.array([-0.0, 0.0], dtype=np.float32)).tolist() == [0, 0]


def test_nothing_to_measure_is_nan():
    quality = PixelQuality()
    quality.add(np.ones((4, 4), dtype=np.float32), np.zeros((4, 4), dtype=bool))
    report = quality.report()
    assert report.num_images == 1 and report.num_defective == 0
    assert all(np.isnan(value) for value in report[:5])


def test_histogram_functions_by_hand():
    defective, sound = np.array([1, 0, 3]), np.array([4, 2, 2])
    assert auroc(defective, sound) == (1 * 2 + 3 * 7) / 32
    assert average_precision(defective, sound) == pytest.approx(0.75 * 3 / 5 + 0.25 * 4 / 12)
    assert best_f1(defective, sound) == pytest.approx(2 * 3 / (5 + 4))
    assert aupro(defective / 4, sound, limit=0.25) == pytest.approx(0.375)


@pytest.mark.parametrize('bad', [np.full((2, 2), np.nan), np.full((2, 2), -1.0), np.zeros((2, 2, 1))])
def test_bad_maps_are_refused(bad):
    with pytest.raises(ValueError, match='finite and >= 0'):
        PixelQuality().add(bad.astype(np.float32), np.zeros((2, 2), dtype=bool))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match='mask and ignore'):
        PixelQuality().add(np.zeros((2, 2)), np.zeros((2, 2), dtype=bool), np.zeros((3, 2), dtype=bool))
