"""One linear map for many images: its arithmetic, its measurement, its errors."""
import numpy as np
import pytest

from agssp_mm.images import UnreadableImageError, ValueScaling
from agssp_mm.images.scaling import check_percentiles, check_value_range, measure_value_range, scale_to_bytes


@pytest.mark.parametrize('dtype', [np.uint16, np.int16, np.uint32, np.int32, np.float32, np.float64])
def test_a_range_becomes_0_to_255_and_the_rest_is_clipped(dtype):
    values = np.array([[0, 100, 105], [355, 610, 700]]).astype(dtype)
    np.testing.assert_array_equal(scale_to_bytes(values, 'a', (100, 610)), [[0, 0, 2], [128, 255, 255]])


def test_large_numbers_keep_their_small_differences():
    values = (np.arange(256, dtype=np.uint32) + np.uint32(4_000_000_000)).reshape(16, 16)
    scaled = scale_to_bytes(values, 'a', (4_000_000_000, 4_000_000_255))
    np.testing.assert_array_equal(scaled.ravel(), np.arange(256))


def test_the_default_is_the_full_range_of_the_type():
    assert scale_to_bytes(np.array([[0, 257, 65535]], np.uint16), 'a', None).tolist() == [[0, 1, 255]]
    assert scale_to_bytes(np.array([[-32768, 0, 32767]], np.int16), 'a', None).tolist() == [[0, 128, 255]]


def test_blocks_leave_no_seam():
    values = np.random.default_rng(0).integers(0, 65536, (1100, 1000), dtype=np.uint16)  # more than one block
    expected = np.rint(values.astype(np.float64) / 257)
    np.testing.assert_array_equal(scale_to_bytes(values, 'a', None), expected)


def test_floats_need_a_range_and_must_be_finite():
    with pytest.raises(UnreadableImageError, match='a.tif: float32 grey values have no natural range; give value_ran'):
        scale_to_bytes(np.zeros((2, 2, 3), np.float32), 'a.tif', None)
    for bad in (np.nan, np.inf):
        with pytest.raises(UnreadableImageError, match='a.tif: some grey values are NaN or infinite'):
            scale_to_bytes(np.array([[1, bad]], np.float32), 'a.tif', (0, 2))


def test_percentiles_are_pooled_over_deep_images_and_finite_values():
    first = np.arange(0, 1001, dtype=np.float32).reshape(7, 143)
    second = first + 1000
    second[0, 0] = np.nan  # was 1000, which the first image has too
    eight_bit = np.zeros((50, 50), np.uint8)
    pooled = np.concatenate([first.ravel(), second.ravel()[1:]])
    found = measure_value_range([first, eight_bit, second], (1, 99))
    assert found == pytest.approx(tuple(np.percentile(pooled, (1, 99))))
    assert measure_value_range([eight_bit], (1, 99)) is None


def test_large_images_do_not_outvote_small_ones():
    large, small = np.full((500, 500), 10, np.uint16), np.full((64, 64), 30, np.uint16)
    assert measure_value_range([large, small], (40, 60)) == (10, 30)  # 4,096 values of each


def test_every_part_of_a_large_image_is_sampled():
    image = np.repeat(np.arange(1000, dtype=np.uint16)[None], 1000, axis=0)
    low, high = measure_value_range([image], (5, 95))
    assert low == pytest.approx(50, abs=15) and high == pytest.approx(949, abs=15)


@pytest.mark.parametrize('value_range', [(3, 3), (4, 3), (0, float('nan')), (0, float('inf')), (1, 2, 3)])
def test_ranges_without_extent_are_refused(value_range):
    with pytest.raises(ValueError, match='value_range must be .low, high. with low < high'):
        check_value_range(value_range)


@pytest.mark.parametrize('percentiles', [(5, 5), (99, 1), (-1, 50), (1, 101), (1, )])
def test_impossible_percentiles_are_refused(percentiles):
    with pytest.raises(ValueError, match='value_percentiles must be .low, high. with 0 <= low < high <= 100'):
        check_percentiles(percentiles)


def test_even_images_have_no_percentile_range():
    with pytest.raises(ValueError, match='percentiles 1 and 99 of the grey values of 1 images are both 7'):
        measure_value_range([np.full((4, 4), 7, np.uint16)], (1, 99))


def test_sources_have_their_own_ranges_and_others_the_common_one():
    meta = dict(value_range=[0, 10], value_ranges=dict(mill=[5, 50]))
    scaling = ValueScaling.from_meta(meta)
    assert scaling.of('mill') == (5, 50) and scaling.of('furnace') == (0, 10)
    assert ValueScaling.from_meta({}).of('mill') is None
