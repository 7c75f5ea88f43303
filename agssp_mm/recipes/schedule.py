"""Optimizers and learning rates of short trainings."""
import copy
import math
from typing import Any

WARM_UP = 50  # iterations, at most
_LARGEST_GRADIENT = 10.0


def agbp_optimizer(lr: float) -> dict:
    """Optimizer of stage 1, the same for every backbone.

    Args:
        lr: Learning rate of AdamW.
    """
    return dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=lr, weight_decay=0.05),
                clip_grad=dict(max_norm=5.0), paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0))


def detector_optimizer(config: Any, batch_size: int, lr: float | None) -> dict:
    """The optimizer that a detector's config was made with, for another batch size.

    Where the config says which batch its learning rate was made for (``auto_scale_lr``), the rate is scaled: in
    proportion to the batch for SGD (Goyal et al., arXiv 1706.02677), to its square root for the Adam family (Malladi
    et al., arXiv 2205.10287). Gradients are clipped.

    Args:
        config: The user's config.
        batch_size: Images per step, over all processes.
        lr: Learning rate; None takes the scaled one.
    """
    found = config.get('optim_wrapper')
    wrapper = copy.deepcopy(found.to_dict()) if found else agbp_optimizer(1e-4)
    wrapper['type'] = 'OptimWrapper'
    for key in ('loss_scale', 'dtype', 'accumulative_counts'):
        wrapper.pop(key, None)
    base = (config.get('auto_scale_lr') or {}).get('base_batch_size')
    own = wrapper['optimizer'].get('lr')
    if lr is not None:
        wrapper['optimizer']['lr'] = lr
    elif base and own:
        share = batch_size / base
        adaptive = 'adam' in str(wrapper['optimizer'].get('type')).lower()
        wrapper['optimizer']['lr'] = float(f'{own * (math.sqrt(share) if adaptive else share):.3g}')
    if not wrapper.get('clip_grad'):
        wrapper['clip_grad'] = dict(max_norm=_LARGEST_GRADIENT)
    if not wrapper.get('constructor'):
        # Heads share convolutions between levels: MMEngine would list their weights once per level.
        wrapper['paramwise_cfg'] = dict(wrapper.get('paramwise_cfg') or {}, bypass_duplicate=True)
    return wrapper


def short_schedule(epochs: int, iterations: int | None) -> list[dict]:
    """Linear warm-up, then a cosine to a hundredth.

    Args:
        epochs: Length of the training.
        iterations: Its length in steps, where it is known, or with AGDP, whose images may have no box, the most that
            there can be; the warm-up takes a tenth of them at most.
    """
    warm_up = WARM_UP if iterations is None else min(WARM_UP, iterations // 10)
    # MMEngine's reaches the full rate in its last step: with a single one, the rate would stay where it starts.
    linear = [dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=warm_up)] if warm_up > 1 else []
    return [*linear, dict(type='CosineAnnealingLR', by_epoch=True, T_max=epochs, eta_min_ratio=0.01,
                          convert_to_iter_based=True)]
