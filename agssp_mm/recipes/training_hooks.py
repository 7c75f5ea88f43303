"""The hooks of a user's config in a schedule of another length."""
import copy
import logging
from typing import Any

from mmengine.logging import print_log

# Ours are put in by the stages, or belong to stage 1; a mean teacher goes with the wrapper that is left out.
_LEFT_OUT = ('NumClassCheckHook', 'MeanTeacherHook', 'LoadReportHook', 'BackboneStartHook', 'DetectorExportHook',
             'DistillationPretrainer', 'SourceClassesHook', 'AnomalyVisualizationHook')
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
    old = (config.get('train_cfg') or {}).get('max_epochs') or 0
    hooks = []
    for hook in copy.deepcopy(config.get('custom_hooks') or []):
        hook = hook.to_dict() if hasattr(hook, 'to_dict') else dict(hook)
        kind = str(hook.get('type')).rsplit('.', 1)[-1]
        if kind in _LEFT_OUT:
            continue
        timed = [key for key in hook if key in ('num_last_epochs', 'begin_epoch') or key.endswith('switch_epoch')]
        if timed and not old:
            print_log(f'{kind} left out: it switches at an epoch, and the config does not train by epochs', 'current',
                      logging.WARNING)
            continue
        for key in timed:
            if hook[key]:
                hook[key] = _moved(hook[key], key, old, epochs)
        if 'switch_pipeline' in hook:
            hook['switch_pipeline'] = plain_pipeline
        if kind == 'EMAHook':
            _shorten_average(hook, iterations)
        hooks.append(hook)
    return hooks


def _moved(time: int, key: str, old: int, epochs: int) -> int:
    """A time in epochs, or a number of last epochs, as the same share of another training.

    What is switched within the long training is switched within the short one too, for its last epoch at least.
    """
    moved = max(round(time * epochs / old), 1)
    return min(moved, max(epochs - 1, 1)) if key.endswith('switch_epoch') and time < old else moved


def needs_mix_dataset(hooks: list[dict]) -> bool:
    """Whether a hook tells the data set to skip transforms, which only MMDetection's MultiImageMixDataset can."""
    return any('YOLOXModeSwitchHook' in str(hook['type']) or 'skip_type_keys' in hook for hook in hooks)


def _shorten_average(hook: dict, iterations: int | None) -> None:
    if iterations is None:
        return
    hook['begin_iter'] = 0
    horizon = max(iterations // _AVERAGING_SHARE, 1)
    kind = str(hook.get('ema_type', 'ExponentialMovingAverage'))
    if 'Stochastic' in kind:
        return  # the plain mean of all steps has no momentum
    hook['momentum'] = min(max(hook.get('momentum', 0.0002), 1 / (horizon + 1)), 0.5)
    if 'ExpMomentum' in kind:
        hook['gamma'] = min(hook.get('gamma', 2000), horizon)
