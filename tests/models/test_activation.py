import numpy as np
import pytest
import torch

from agssp_mm.models.activation import activation_map, agreement, mean_agreement, resize_map


def test_activation_is_the_sum_of_squares_with_its_gradient():
    feature = torch.tensor([[[[1.0, -2.0]], [[3.0, 0.5]]]], requires_grad=True)
    activation = activation_map(feature)
    assert activation.tolist() == [[[[10.0, 4.25]]]]
    activation[0, 0, 0, 1].backward()
    assert feature.grad.tolist() == [[[[0.0, -4.0]], [[0.0, 1.0]]]]


def test_activation_of_half_precision_features_does_not_overflow_under_autocast():
    feature = torch.full((1, 4, 2, 2), 300.0, dtype=torch.float16)
    with torch.autocast('cpu', torch.bfloat16):
        activation = activation_map(feature)
    assert activation.dtype == torch.float32
    assert torch.equal(activation, torch.full((1, 1, 2, 2), 4 * 90000.0))


def test_resizing_averages_cells():
    maps = torch.zeros(1, 1, 4, 4)
    maps[..., :2, :2] = 1.0
    maps[..., 2, 2] = 0.5
    resized, valid = resize_map(maps, (2, 2))
    assert resized.flatten().tolist() == [1.0, 0.0, 0.0, 0.125]
    assert valid.all()


def _reference_resize(one: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the values in [0, 1] under each cell: rows floor(i*H/h) to ceil((i+1)*H/h), columns alike."""
    (height, width), (rows, columns) = one.shape, size
    values, valid = np.zeros(size), np.zeros(size, bool)
    for i in range(rows):
        for j in range(columns):
            cell = one[i * height // rows:-(-(i + 1) * height // rows)]
            cell = cell[:, j * width // columns:-(-(j + 1) * width // columns)]
            image = [value for value in cell.flat if 0 <= value <= 1]
            valid[i, j] = bool(image)
            values[i, j] = np.mean(image) if image else 0
    return values, valid


@pytest.mark.parametrize('size', [(7, 5), (3, 4), (1, 1), (13, 11)])
def test_resizing_leaves_out_what_is_no_image(size):
    generator = np.random.default_rng(0)
    maps = generator.random((2, 1, 13, 11), dtype=np.float32)
    maps[0, 0, 9:, :] = 255
    maps[0, 0, :, 8:] = np.nan
    maps[1, 0, 2:5, 2:5] = -0.001
    maps[1, 0, 0, 0] = 1.0
    resized, valid = resize_map(torch.from_numpy(maps), size)
    for one, got, cells in zip(maps[:, 0], resized[:, 0], valid[:, 0]):
        values, wanted = _reference_resize(one, size)
        assert np.allclose(got.numpy(), values, atol=1e-6)
        assert np.array_equal(cells.numpy(), wanted)


def test_resizing_a_map_that_is_no_image_at_all_gives_zeros_and_no_valid_cell():
    resized, valid = resize_map(torch.full((1, 1, 8, 8), torch.nan), (2, 2))
    assert resized.eq(0).all() and not valid.any()


def test_resizing_is_float32_under_autocast_and_for_half_maps():
    with torch.autocast('cpu', torch.bfloat16):
        resized, _ = resize_map(torch.full((1, 1, 6, 6), 0.1), (3, 3))
    assert resized.dtype == torch.float32
    assert torch.allclose(resized, torch.tensor(0.1), atol=1e-7)
    assert resize_map(torch.zeros(1, 1, 4, 4, dtype=torch.float16), (2, 2))[0].dtype == torch.float32


def test_resizing_refuses_to_enlarge():
    with pytest.raises(ValueError, match='cannot enlarge a 4x4 anomaly map to a 2x5 feature grid'):
        resize_map(torch.zeros(1, 1, 4, 4), (2, 5))


def test_agreement_is_the_correlation_over_valid_cells():
    generator = torch.Generator().manual_seed(0)
    first, second = torch.rand(2, 3, 1, 4, 5, generator=generator)
    valid = torch.rand(3, 1, 4, 5, generator=generator) > 0.3
    got = agreement(1e6 * first + 5e6, second, valid)
    for index in range(3):
        mask = valid[index].numpy()
        wanted = np.corrcoef(first[index].numpy()[mask], second[index].numpy()[mask])[0, 1]
        assert got[index].item() == pytest.approx(wanted, abs=1e-4)


def test_agreement_is_one_for_scaled_and_minus_one_for_mirrored_maps():
    maps = torch.arange(4.0).view(1, 1, 2, 2)
    valid = torch.ones(1, 1, 2, 2, dtype=torch.bool)
    assert agreement(3 * maps + 1, maps, valid).item() == pytest.approx(1)
    assert agreement(-maps, maps, valid).item() == pytest.approx(-1)


def test_agreement_is_undefined_for_constant_maps_and_single_cells_and_then_not_averaged():
    maps = torch.arange(4.0).view(1, 1, 2, 2).repeat(3, 1, 1, 1)
    anomaly = maps.clone()
    anomaly[1] = 0.3
    valid = torch.ones(3, 1, 2, 2, dtype=torch.bool)
    valid[2] = False
    valid[2, 0, 0, 0] = True
    got = agreement(maps, anomaly, valid)
    assert got[0].item() == pytest.approx(1) and got[1:].isnan().all()
    assert mean_agreement(maps, anomaly, valid).item() == pytest.approx(1)
    assert mean_agreement(maps[1:], anomaly[1:], valid[1:]).item() == 0


def test_agreement_carries_no_gradient():
    maps = torch.rand(1, 1, 2, 2, requires_grad=True)
    assert not agreement(maps, torch.rand(1, 1, 2, 2), torch.ones(1, 1, 2, 2, dtype=torch.bool)).requires_grad
