"""The feature levels a backbone returns."""
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn


def as_levels(outputs: Any) -> tuple[Tensor, ...]:
    """Return what a backbone returned as a tuple of feature maps.

    Args:
        outputs: A feature map (B, C, h, w), or a tuple or list of them, finest first.

    Raises:
        ValueError: If it is anything else, such as class tokens.
    """
    levels = (outputs,) if isinstance(outputs, Tensor) else outputs
    if not isinstance(levels, (tuple, list)) or not levels:
        raise ValueError(f'the backbone must return feature maps (B, C, h, w), but returned a {type(outputs).__name__}')
    for index, level in enumerate(levels):
        if not isinstance(level, Tensor) or level.ndim != 4:
            what = f'shape {tuple(level.shape)}' if isinstance(level, Tensor) else f'a {type(level).__name__}'
            raise ValueError(f'level {index} of the backbone is {what}, but a feature map (B, C, h, w) is needed; '
                             "transformers of mmpretrain return one with out_type='featmap'")
    return tuple(levels)


def count_levels(backbone: nn.Module) -> int | None:
    """Tell how many levels a backbone will return, without running it.

    Returns:
        The number of levels by its `out_indices` (mmdet, mmpretrain) or timm's `feature_info`; None if it
        does not say.
    """
    timm_model = getattr(backbone, 'timm_model', None)
    for holder in (backbone, getattr(timm_model, 'feature_info', None)):
        indices = getattr(holder, 'out_indices', None)
        if isinstance(indices, Sequence) and indices:
            return len(indices)
    return None


def resolve_levels(levels: Sequence[int], count: int, backbone: str) -> tuple[int, ...]:
    """Turn level numbers, negatives counting from the end, into indices.

    Args:
        levels: As the user gave them.
        count: How many levels the backbone returns.
        backbone: Its name, for the message.

    Returns:
        Indices in [0, count), in the given order.

    Raises:
        ValueError: If a level does not exist, or is named twice.
    """
    for level in levels:
        if not -count <= level < count:
            raise ValueError(f'level {level} does not exist: {backbone} returns {count} level(s), so {-count} to '
                             f'{count - 1} are allowed; change `levels` of DistillationPretrainer ({tuple(levels)}) '
                             'or `out_indices` of the backbone')
    indices = tuple(level % count for level in levels)
    if len(set(indices)) != len(indices):
        raise ValueError(f'levels {tuple(levels)} name a level of {backbone} twice: of its {count} they mean {indices}')
    return indices
