"""KeAD's anomaly values from features: text-driven and few-shot maps, and image scores (arXiv 2509.18919)."""
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

#: Softmax temperature of KeAD; a constant, not CLIP's learned scale.
TEMPERATURE = 0.07
#: Memory tokens compared at once, which bounds the memory of a comparison.
CHUNK = 2048


def text_directions(normal: Tensor, anomalous: Tensor, empty: Tensor) -> Tensor:
    """What tells a class's normal and anomalous texts apart from what every prompt shares.

    Args:
        normal: (D,) averaged, normalised text feature of the normal prompts.
        anomalous: (D,), of the anomalous prompts.
        empty: (D,), of the templates with an empty noun.

    Returns:
        (2, D) unit vectors: normal, anomalous.
    """
    return F.normalize(torch.stack([normal, anomalous]) - empty, dim=-1)


def anomaly_probability(features: Tensor, directions: Tensor) -> Tensor:
    """Softmax over the two directions, anomalous share.

    Args:
        features: (..., D) unit vectors.
        directions: (..., 2, D) unit vectors, broadcast against ``features``.

    Returns:
        (...) in [0, 1].
    """
    # The second of a softmax over two is the sigmoid of their difference.
    difference = directions[..., 1, :] - directions[..., 0, :]
    return torch.sigmoid((features * difference).sum(-1) / TEMPERATURE)


def text_map(tokens: Tensor, directions: Tensor, level_weights: Sequence[float]) -> Tensor:
    """Text-driven anomaly value of every patch, averaged over the levels.

    Args:
        tokens: (U, B, P, D) unit vectors.
        directions: (B, 2, D), those of each image's class.
        level_weights: U shares that sum to 1.

    Returns:
        (B, P) in [0, 1].
    """
    difference = (directions[:, 1] - directions[:, 0]) / TEMPERATURE
    return _mean_over_levels(torch.sigmoid(torch.einsum('ubpd,bd->ubp', tokens, difference)), level_weights)


def few_shot_map(tokens: Tensor, memory: Tensor, level_weights: Sequence[float]) -> Tensor:
    """Half the cosine distance of every patch to the nearest normal patch, averaged over the levels.

    Args:
        tokens: (U, B, P, D) unit vectors.
        memory: (U, M, D) unit vectors.
        level_weights: U shares that sum to 1.

    Returns:
        (B, P) in [0, 1].
    """
    num_levels, num_images, num_patches, _ = tokens.shape
    distances = []
    for level in range(num_levels):
        flat = tokens[level].flatten(0, 1)
        nearest = torch.stack([(flat @ part.T).amax(-1) for part in memory[level].split(CHUNK)]).amax(0)
        distances.append((0.5 * (1.0 - nearest)).clamp(min=0.0))  # rounding may lift a cosine above 1
    return _mean_over_levels(torch.stack(distances).view(num_levels, num_images, num_patches), level_weights)


def few_shot_score(zero_shot: Tensor, maps: Tensor) -> Tensor:
    """Image score with normal images: mean of the zero-shot score and the peak of the summed map.

    Args:
        zero_shot: (B,).
        maps: (B, P), text-driven plus few-shot.
    """
    return 0.5 * (zero_shot + maps.amax(-1))


def _mean_over_levels(values: Tensor, level_weights: Sequence[float]) -> Tensor:
    return torch.einsum('ubp,u->bp', values, torch.tensor(level_weights).to(values))
