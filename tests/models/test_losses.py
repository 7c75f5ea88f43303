import math

import pytest
import torch
from mmengine.registry import MODELS

from agssp_mm.models.losses import CosineMapLoss, NormalizedL2MapLoss, cosine_map_loss, normalized_l2_map_loss


def maps(*images):
    """Stack images given as flat lists into (B, 1, 1, n)."""
    return torch.tensor(images, dtype=torch.float32).view(len(images), 1, 1, -1)


def all_valid(activation):
    return torch.ones_like(activation, dtype=torch.bool)


@pytest.mark.parametrize('activation, anomaly, cosine', [
    ([3.0, 4.0], [3.0, 4.0], 1.0),
    ([3.0, 4.0], [0.4, 0.3], 0.96),
    ([1.0, 0.0], [0.0, 0.5], 0.0),
    ([1.0, 0.0], [0.2, 0.2], math.sqrt(0.5)),
    ([3e6, 4e6], [3e-4, 4e-4], 1.0),
])
def test_both_forms_are_two_minus_two_cosines(activation, anomaly, cosine):
    activation, anomaly = maps(activation), maps(anomaly)
    valid = all_valid(activation)
    assert cosine_map_loss(activation, anomaly, valid).item() == pytest.approx(2 - 2 * cosine, abs=1e-5)
    assert normalized_l2_map_loss(activation, anomaly, valid).item() == pytest.approx(2 - 2 * cosine, abs=1e-5)
    other = cosine_map_loss(activation, anomaly, valid, shift=1, scale=3)
    assert other.item() == pytest.approx(1 - 3 * cosine, abs=1e-5)


@pytest.mark.parametrize('loss', [cosine_map_loss, normalized_l2_map_loss])
def test_images_are_averaged_not_their_cells(loss):
    activation, anomaly = maps([100.0, 0.0], [0.0, 1.0]), maps([1.0, 0.0], [1.0, 0.0])
    assert loss(activation, anomaly, all_valid(activation)).item() == pytest.approx((0 + 2) / 2)


@pytest.mark.parametrize('loss', [cosine_map_loss, normalized_l2_map_loss])
def test_invalid_cells_count_in_neither_value_nor_gradient(loss):
    activation = maps([3.0, 4.0, 7.0]).requires_grad_()
    anomaly, valid = maps([0.4, 0.3, 0.9]), torch.tensor([True, True, False]).view(1, 1, 1, 3)
    value = loss(activation, anomaly, valid)
    value.backward()
    short = maps([3.0, 4.0]).requires_grad_()
    loss(short, maps([0.4, 0.3]), all_valid(short)).backward()
    assert value.item() == pytest.approx(2 - 2 * 0.96)
    assert torch.allclose(activation.grad[..., :2], short.grad) and activation.grad[..., 2] == 0
    assert short.grad.abs().max() > 0.01


@pytest.mark.parametrize('loss', [cosine_map_loss, normalized_l2_map_loss])
def test_images_without_a_valid_cell_are_left_out_of_the_mean(loss):
    activation = maps([3.0, 4.0], [1.0, 2.0]).requires_grad_()
    valid = torch.tensor([True, False]).view(2, 1, 1, 1).expand(2, 1, 1, 2)
    value = loss(activation, maps([0.4, 0.3], [0.0, 0.0]), valid)
    value.backward()
    assert value.item() == pytest.approx(2 - 2 * 0.96)
    assert activation.grad[1].eq(0).all()


@pytest.mark.parametrize('loss', [cosine_map_loss, normalized_l2_map_loss])
def test_a_batch_without_a_valid_cell_has_loss_zero_and_a_zero_gradient(loss):
    activation = maps([3.0, 4.0]).requires_grad_()
    value = loss(activation, maps([0.0, 0.0]), ~all_valid(activation))
    value.backward()
    assert value.item() == 0 and activation.grad.eq(0).all()


@pytest.mark.parametrize('loss, value', [(cosine_map_loss, 2.0), (normalized_l2_map_loss, 1.0)])
def test_all_zero_anomaly_map_gives_a_finite_loss_and_gradient(loss, value):
    activation = maps([3.0, 4.0]).requires_grad_()
    got = loss(activation, maps([0.0, 0.0]), all_valid(activation))
    got.backward()
    assert got.item() == pytest.approx(value) and activation.grad.abs().max() < 1e-6


@pytest.mark.parametrize('loss', [cosine_map_loss, normalized_l2_map_loss])
def test_all_zero_activation_gives_a_finite_gradient_at_the_features(loss):
    feature = torch.zeros(1, 3, 2, 2, requires_grad=True)
    activation = feature.square().sum(1, keepdim=True)
    loss(activation, torch.rand(1, 1, 2, 2), all_valid(activation)).backward()
    assert torch.isfinite(feature.grad).all()


@pytest.mark.parametrize('scale', [1e-10, 1e12])
def test_the_scale_of_the_activation_does_not_matter(scale):
    activation, anomaly = maps([3.0, 4.0]), maps([0.4, 0.3])
    assert cosine_map_loss(scale * activation, anomaly, all_valid(activation)).item() == pytest.approx(0.08, abs=1e-5)


def test_gradient_equals_finite_differences():
    generator = torch.Generator().manual_seed(0)
    activation = torch.rand(2, 1, 2, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    anomaly = torch.rand(2, 1, 2, 3, generator=generator, dtype=torch.float64)
    valid = torch.rand(2, 1, 2, 3, generator=generator) > 0.3
    assert torch.autograd.gradcheck(lambda x: cosine_map_loss(x, anomaly, valid), activation)
    assert torch.autograd.gradcheck(lambda x: normalized_l2_map_loss(x, anomaly, valid), activation)


def test_modules_are_registered_and_apply_their_settings():
    activation, anomaly = maps([3.0, 4.0]), maps([0.4, 0.3])
    cosine = MODELS.build(dict(type='CosineMapLoss', shift=1.0, scale=0.5))
    assert cosine(activation, anomaly, all_valid(activation)).item() == pytest.approx(1 - 0.48)
    doubled = MODELS.build(dict(type='NormalizedL2MapLoss', weight=2.0))
    assert doubled(activation, anomaly, all_valid(activation)).item() == pytest.approx(4 - 4 * 0.96)


def test_settings_that_push_the_maps_apart_are_refused():
    with pytest.raises(ValueError, match='scale > 0, got -1'):
        CosineMapLoss(scale=-1)
    with pytest.raises(ValueError, match='weight > 0, got 0'):
        NormalizedL2MapLoss(weight=0)
