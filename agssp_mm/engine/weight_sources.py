"""Where a run takes its weights from."""
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mmengine.model import BaseModule, is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from agssp_mm.checkpoints.efficientnet_lite import weights_path
from agssp_mm.checkpoints.reading import sha256
from agssp_mm.engine.backbone_start import BackboneStartHook


class WeightSource(NamedTuple):
    """A checkpoint that a module is initialised from: `init_cfg=dict(type='Pretrained', ...)`."""

    name: str
    module: nn.Module
    checkpoint: str
    prefix: str


def pretrained_sources(model: nn.Module) -> Iterator[WeightSource]:
    """Find the modules that are initialised from a checkpoint.

    Args:
        model: The model, wrapped or not.

    Yields:
        One source per `init_cfg` of type Pretrained, with the name of its module ('' is the model itself).
    """
    for name, module, one in _init_cfgs(model):
        if last_name(one.get('type')) == 'Pretrained':
            # MMEngine takes a prefix with and without its dot.
            prefix = f"{one['prefix'].rstrip('.')}." if one.get('prefix') else ''
            yield WeightSource(name, module, str(one['checkpoint']), prefix)


def last_name(kind: Any) -> str:
    """Short name of an initialisation: `Pretrained` for that name, for the class and for the path of the class."""
    return getattr(kind, '__name__', str(kind)).rsplit('.', 1)[-1].removesuffix('Init')


def describe_parents(runner: Runner) -> list[dict[str, str | None]]:
    """Tell which files the weights of a run started from.

    Returns:
        Per file where it went ('load_from' or the module), its name as configured, and its SHA-256, which is
        None for a file that is gone.
    """
    found = [(source.name or 'model', source.checkpoint, source.checkpoint)
             for source in pretrained_sources(runner.model)]
    for name, _, one in _init_cfgs(runner.model):
        if last_name(one.get('type')) == 'EfficientNetLiteImageNet':
            path = weights_path(one.get('variant', 'lite0'))
            found.append((name or 'model', path.name, str(path)))
    if runner._load_from and not runner._resume:
        found.append(('load_from', str(runner._load_from), runner._load_from))
        found += [('backbone', hook.checkpoint, hook.checkpoint) for hook in runner.hooks
                  if isinstance(hook, BackboneStartHook) and hook.checkpoint]
    return [{'into': into, 'checkpoint': checkpoint, 'sha256': sha256(path)} for into, checkpoint, path in found]


def _init_cfgs(model: nn.Module) -> Iterator[tuple[str, nn.Module, Mapping]]:
    own: Any = model.module if is_model_wrapper(model) else model
    for name, module in own.named_modules():
        # Only these are initialised from their `init_cfg`.
        init_cfg = module.init_cfg or [] if isinstance(module, BaseModule) else []
        for one in [init_cfg] if isinstance(init_cfg, dict) else init_cfg:
            yield name, module, one
