"""The hooks of a user's config in a schedule of another length."""
import copy
import logging
from typing import Any

from mmengine.logging import print_log

# Ours are put in by the stages; a mean teacher goes with the wrapper that is left out.
_LEFT_OUT = ('NumClassCheckHook', 'MeanTeacherHook', 'LoadReportHook', 'DetectorExportHook')
_AVERAGING_SHARE = 10


def move_hooks(config: Any, epochs: int, iterations: int | None, plain_pipeline: list[dict]) -> list[dict]:
    """Take over ``custom_hooks``, with their times moved to a short schedule.

    Epochs at which something is switched keep their share of the training. A pipeline that is switched to becomes
    the plain one. Averages (EMA) look back over a tenth of the steps at most: with the momentum of a long training,
    a short one would end with an average close to where it started.

    Args:
        config: The user's config.
        epochs: Length of the short training.
        iterations: Its length in steps, where it is known.
        plain_pipeline: Without strong augmentation.
    """
    old = (config.get('train_cfg') or {}).get('max_epochs')
    share = epochs / old if old else None
    hooks = []
    for hook in copy.deepcopy(config.get('custom_hooks') or []):
        hook = hook.to_dict() if hasattr(hook, 'to_dict') else dict(hook)
        kind = str(hook.get('type')).rsplit('.', 1)[-1]
        if kind in _LEFT_OUT:
            continue
        timed = [key for key in hook if key in ('num_last_epochs', 'begin_epoch') or key.endswith('switch_epoch')]
        if timed and share is None:
            print_log(f'{kind} left out: it switches at an epoch, and the config does not train by epochs', 'current',
                      logging.WARNING)
            continue
        for key in timed:
            if hook[key]:
                hook[key] = max(round(hook[key] * share), 1)
        if 'switch_pipeline' in hook:
            hook['switch_pipeline'] = plain_pipeline
        if kind == 'EMAHook':
            _shorten_average(hook, iterations)
        hooks.append(hook)
    return hooks


def needs_mix_dataset(hooks: list[dict]) -> bool:
    """Whether a hook tells the data set to skip transforms, which only MMDetection's MultiImageMixDataset can."""
    return any('YOLOXModeSwitchHook' in str(hook['type']) or 'skip_type_keys' in hook for hook in hooks)


def _shorten_average(hook: dict, iterations: int | None) -> None:
    if iterations is None:
        return
    hook['begin_iter'] = 0
    horizon = max(iterations // _AVERAGING_SHARE, 1)
    hook['momentum'] = min(max(hook.get('momentum', 0.0002), 1 / (horizon + 1)), 0.5)
    if 'ExpMomentum' in str(hook.get('ema_type')):
        hook['gamma'] = min(hook.get('gamma', 2000), horizon)
