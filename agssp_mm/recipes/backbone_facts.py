"""What a backbone gives and how it freezes, found by building it and running it once."""
import contextlib
import inspect
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..models.levels import as_levels
from .building import build, model_class, without_weights
from .source_detector import SourceDetector

# Most backbones have four stages; some count the stem or have more.
_WHOLE = (4, 5, 6, 7, 3)
_SIDES = (128, 256, 512)


@dataclass(frozen=True)
class BackboneFacts:
    """What the recipes need to know of a backbone.

    Attributes:
        name: Class of the backbone.
        channels: Of each level that it returns.
        strides: Of each level, in input pixels.
        levels: The two coarsest levels (one where there is only one), counted from the end: what AGBP distils.
        stem_frozen: Settings under which the first two of its stages rest and the distilled levels still learn, as
            in all AGBP variants of AGSSP (arXiv 2509.18919); empty where it cannot freeze.
        nothing_frozen: Settings under which all of it learns.
        all_frozen: Settings under which none of it learns, statistics included; None where it has none such.
        is_branched: In training it returns several features per image, behind one another in the batch; frozen parts
            would return one.
        has_batch_norm: Some of its layers keep running statistics.
    """

    name: str
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    levels: tuple[int, ...]
    stem_frozen: dict = field(default_factory=dict)
    nothing_frozen: dict = field(default_factory=dict)
    all_frozen: dict | None = None
    is_branched: bool = False
    has_batch_norm: bool = False


def inspect_backbone(detector: SourceDetector) -> BackboneFacts:
    """Build the backbone of a detector and look.

    Raises:
        ValueError: If it cannot be built, returns no feature maps, or has nothing to train.
    """
    config = without_weights(detector.model['backbone'])
    backbone = _build(config, detector)
    name = type(backbone).__name__
    side, features = _run(backbone, name)
    strides = tuple(side // min(one.shape[-2:]) for one in features)
    count = min(2, len(features))
    # Coarsest last, whatever the order that the backbone returns them in.
    coarsest = sorted(range(len(features)), key=lambda index: (strides[index], index))[-count:]
    levels = tuple(index - len(features) for index in coarsest)
    nothing = _settings(config, detector, frozen=None)
    trainable = _in_training(_build({**config, **nothing}, detector), side)
    _check_trainable(trainable, levels, name)
    is_branched = any(len(one) > 1 for one in trainable)
    return BackboneFacts(name, tuple(one.shape[1] for one in features), strides, levels,
                         _stem_frozen(config, detector, levels, side), nothing,
                         None if is_branched else _all_frozen(config, detector), is_branched,
                         any(isinstance(module, _BatchNorm) for module in backbone.modules()))


def freezes_late(backbone: dict, scope: str) -> bool:
    """Whether some of a backbone freezes only when the training starts, as in mmdet's Swin, CSPDarknet and CSPNeXt.

    MMEngine has wrapped the model by then: several processes need ``find_unused_parameters=True``.

    Args:
        backbone: Its config.
        scope: Registry scope of bare names.
    """
    built = build(without_weights(backbone), scope)
    learning = [parameter for parameter in built.parameters() if parameter.requires_grad]
    built.train()
    return not all(parameter.requires_grad for parameter in learning)


def accepted_settings(cls: type) -> dict[str, object]:
    """Arguments of a class and, where it passes others on, of its parents, with their defaults."""
    found: dict[str, object] = {}
    for one in cls.__mro__:
        if '__init__' not in vars(one):
            continue
        parameters = inspect.signature(vars(one)['__init__']).parameters.values()
        for parameter in parameters:
            found.setdefault(parameter.name, parameter.default)
        if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
            break
    return found


def _build(config: dict, detector: SourceDetector) -> nn.Module:
    try:
        return build(config, detector.scope)
    except Exception as error:  # whatever the constructor of somebody else's class raises
        raise ValueError(f'the backbone {config["type"]} of {detector.name} cannot be built '
                         f'({type(error).__name__}: {error})') from error


def _run(backbone: nn.Module, name: str) -> tuple[int, tuple[Tensor, ...]]:
    backbone.eval()
    problem: Exception | None = None
    for side in _SIDES:
        try:
            with torch.no_grad():
                return side, as_levels(backbone(torch.zeros(1, 3, side, side)))
        except (RuntimeError, ValueError, IndexError, AssertionError) as error:
            problem = error
    raise ValueError(f'the backbone {name} gives no feature maps for images of {_SIDES} pixels: {problem}')


def _settings(config: dict, detector: SourceDetector, frozen: int | None) -> dict:
    """``frozen_stages`` and ``norm_eval`` as far as the backbone has them; None freezes nothing."""
    accepted = accepted_settings(model_class(config, detector.scope))
    settings = {}
    if 'frozen_stages' in accepted:
        default = accepted['frozen_stages']
        nothing = default if isinstance(default, int) and default <= 0 else -1
        settings['frozen_stages'] = nothing if frozen is None else frozen
    if 'norm_eval' in accepted:
        settings['norm_eval'] = False
    return settings


def _stem_frozen(config: dict, detector: SourceDetector, levels: tuple[int, ...], side: int) -> dict:
    for frozen in (2, 1):
        settings = _settings(config, detector, frozen)
        if 'frozen_stages' not in settings:
            return {}
        with contextlib.suppress(ValueError):
            features = _in_training(_build({**config, **settings}, detector), side)
            if all(features[level].requires_grad for level in levels):
                return settings
    return {}


def _all_frozen(config: dict, detector: SourceDetector) -> dict | None:
    for frozen in _WHOLE:
        settings = _settings(config, detector, frozen)
        if 'frozen_stages' not in settings:
            return None
        if 'norm_eval' in settings:
            settings['norm_eval'] = True
        with contextlib.suppress(ValueError):
            backbone = _build({**config, **settings}, detector)
            backbone.train()
            norms = [one for one in backbone.modules() if isinstance(one, _BatchNorm)]
            if not any(one.requires_grad for one in backbone.parameters()) and not any(one.training for one in norms):
                return settings
    return None


def _in_training(backbone: nn.Module, side: int) -> tuple[Tensor, ...]:
    """What the backbone returns in training for one image; a level with a gradient depends on a weight that learns."""
    backbone.train()
    for module in backbone.modules():
        if isinstance(module, _BatchNorm):
            module.eval()  # a single image has no statistics
    return as_levels(backbone(torch.zeros(1, 3, side, side)))


def _check_trainable(features: tuple[Tensor, ...], levels: tuple[int, ...], name: str) -> None:
    if not all(features[level].requires_grad for level in levels):
        raise ValueError(f'the backbone {name} is frozen: its levels {levels} depend on no weight that can learn, so '
                         'AGBP has nothing to train; take a backbone that can be trained')
