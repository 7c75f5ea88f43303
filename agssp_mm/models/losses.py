"""Losses that pull activation maps towards anomaly maps."""
import torch
from mmengine.registry import MODELS
from torch import Tensor, nn

_EPS = 1e-12


def cosine_map_loss(activation: Tensor, anomaly: Tensor, valid: Tensor, shift: float = 2.0,
                    scale: float = 2.0) -> Tensor:
    """Cosine form of the AGBP loss (AGSSP, arXiv 2509.18919): mean over images of shift - scale * cos.

    Invalid cells are left out of the vectors, images without a valid cell out of the mean. The cosine with an
    all-zero map is 0. Value and gradient are always finite for finite input.

    Args:
        activation: Activation map, (B, 1, h, w), float32, >= 0.
        anomaly: Anomaly map on the same grid, (B, 1, h, w), float32, >= 0.
        valid: Which cells count, (B, 1, h, w), bool.
        shift: Loss of an image whose maps are orthogonal.
        scale: Factor of the cosine.

    Returns:
        Scalar, float32; 0 if no image has a valid cell.
    """
    cosine = (_unit(activation, valid) * _unit(anomaly, valid)).sum(1)
    return _mean_over_images(shift - scale * cosine, valid)


def normalized_l2_map_loss(activation: Tensor, anomaly: Tensor, valid: Tensor) -> Tensor:
    """Normalised L2 form of the AGBP loss: mean over images of |E/|E| - M/|M||^2 = 2 - 2 cos.

    Invalid cells are left out of the vectors, images without a valid cell out of the mean. An all-zero map
    stays zero when normalised. Value and gradient are always finite for finite input.

    Args:
        activation: Activation map, (B, 1, h, w), float32, >= 0.
        anomaly: Anomaly map on the same grid, (B, 1, h, w), float32, >= 0.
        valid: Which cells count, (B, 1, h, w), bool.

    Returns:
        Scalar, float32; 0 if no image has a valid cell.
    """
    difference = _unit(activation, valid) - _unit(anomaly, valid)
    return _mean_over_images(difference.square().sum(1), valid)


@MODELS.register_module()
class CosineMapLoss(nn.Module):
    """`cosine_map_loss` as a module; shift 2 and scale 2 are the paper's.

    Args:
        shift: Loss of an image whose maps are orthogonal.
        scale: Factor of the cosine, > 0.

    Raises:
        ValueError: If scale is not positive: the maps would be pushed apart.
    """

    def __init__(self, shift: float = 2.0, scale: float = 2.0) -> None:
        super().__init__()
        if not scale > 0:
            raise ValueError(f'CosineMapLoss needs scale > 0, got {scale}')
        self.shift = shift
        self.scale = scale

    def forward(self, activation: Tensor, anomaly: Tensor, valid: Tensor) -> Tensor:
        """See `cosine_map_loss`."""
        return cosine_map_loss(activation, anomaly, valid, self.shift, self.scale)


@MODELS.register_module()
class NormalizedL2MapLoss(nn.Module):
    """`normalized_l2_map_loss` times a weight, as a module; the paper's Swin-B variants use weight 2.

    Args:
        weight: Factor of the loss, > 0.

    Raises:
        ValueError: If weight is not positive.
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        if not weight > 0:
            raise ValueError(f'NormalizedL2MapLoss needs weight > 0, got {weight}')
        self.weight = weight

    def forward(self, activation: Tensor, anomaly: Tensor, valid: Tensor) -> Tensor:
        """See `normalized_l2_map_loss`."""
        return self.weight * normalized_l2_map_loss(activation, anomaly, valid)


def _unit(maps: Tensor, valid: Tensor) -> Tensor:
    """Valid cells as one vector of length 1 per image, (B, h*w); all-zero maps stay zero."""
    maps = torch.where(valid, maps, 0.0).flatten(1)
    # Clamped before the root: the derivative of sqrt at 0 is infinite.
    return maps / maps.square().sum(1, keepdim=True).clamp_min(_EPS ** 2).sqrt()


def _mean_over_images(losses: Tensor, valid: Tensor) -> Tensor:
    """Mean of (B,) over the images that have a valid cell."""
    present = valid.flatten(1).any(1)
    return torch.where(present, losses, 0.0).sum() / present.sum().clamp_min(1)
