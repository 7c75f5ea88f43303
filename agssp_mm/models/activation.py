"""Activation maps, anomaly maps on a feature grid, and how well the two agree."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

# Spread below this share of the largest value is rounding, not structure.
_CONSTANT = 1e-5


def activation_map(feature: Tensor) -> Tensor:
    """Sum the squared channels of one feature level (AGSSP, arXiv 2509.18919, activation energy).

    Computed in float32 even under autocast: squares of half-precision features overflow.

    Args:
        feature: Feature level, (B, C, h, w), any floating dtype.

    Returns:
        Activation map, (B, 1, h, w), float32, >= 0.
    """
    return feature.float().square().sum(dim=1, keepdim=True)


def resize_map(maps: Tensor, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Area-average anomaly maps to a feature grid, leaving out what is no image.

    A value outside [0, 1], or NaN, means "no image here" (padding). A cell averages its image pixels only; a
    cell without any is invalid. Every level is to be resized from the original map, never from another level's.

    Args:
        maps: Anomaly maps, (B, 1, H, W), floating.
        size: Grid (h, w) of the feature level; each must not exceed (H, W).

    Returns:
        The resized maps, (B, 1, h, w), float32 in [0, 1], 0 in invalid cells, and which cells are valid,
        (B, 1, h, w), bool.

    Raises:
        ValueError: If the grid is larger than the map.
    """
    height, width = maps.shape[-2:]
    if size[0] > height or size[1] > width:
        raise ValueError(f'cannot enlarge a {height}x{width} anomaly map to a {size[0]}x{size[1]} feature grid; '
                         'distil a deeper level or use larger images')
    maps = maps.float()
    image = (maps >= 0) & (maps <= 1)
    grid = (size[0], size[1])
    share = F.adaptive_avg_pool2d(image.float(), grid)
    total = F.adaptive_avg_pool2d(torch.where(image, maps, 0.0), grid)
    valid = share > 0
    return torch.where(valid, total / share, 0.0), valid


def agreement(activation: Tensor, anomaly: Tensor, valid: Tensor) -> Tensor:
    """Correlate activation and anomaly map over the valid cells of each image (Pearson).

    Args:
        activation: Activation map, (B, 1, h, w), float32.
        anomaly: Anomaly map on the same grid, (B, 1, h, w), float32.
        valid: Which cells count, (B, 1, h, w), bool.

    Returns:
        One correlation in [-1, 1] per image, (B,), float32, detached; NaN where it is not defined: fewer than
        two valid cells, or one of the maps is constant over them.
    """
    first, second = _centre(activation, valid), _centre(anomaly, valid)
    norms = first.square().sum(1).sqrt() * second.square().sum(1).sqrt()
    return torch.where(norms > 0, (first * second).sum(1) / norms, torch.nan).clamp(-1, 1)


def mean_agreement(activation: Tensor, anomaly: Tensor, valid: Tensor) -> Tensor:
    """Average `agreement` over the images where it is defined; 0 if there is none.

    Args:
        activation: Activation map, (B, 1, h, w), float32.
        anomaly: Anomaly map on the same grid, (B, 1, h, w), float32.
        valid: Which cells count, (B, 1, h, w), bool.

    Returns:
        Scalar in [-1, 1], float32, detached.
    """
    return agreement(activation, anomaly, valid).nanmean().nan_to_num(0.0)


@torch.no_grad()
def _centre(maps: Tensor, valid: Tensor) -> Tensor:
    """Flatten to (B, h*w), scale to a largest value of 1, subtract the mean; all zero where (nearly) constant."""
    maps = torch.where(valid, maps.float(), 0.0).flatten(1)
    mask = valid.flatten(1).float()
    maps = maps / maps.abs().amax(1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    mean = maps.sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp_min(1)
    maps = (maps - mean) * mask
    return torch.where(maps.abs().amax(1, keepdim=True) > _CONSTANT, maps, 0.0)
