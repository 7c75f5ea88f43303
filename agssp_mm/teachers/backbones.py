"""Frozen backbones of timm, torchvision, mmpretrain and MMEngine's registry, behind one face."""
import logging
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import MMLogger
from mmengine.registry import MODELS
from torch import Tensor, nn

from .backbone_weights import load_local_weights
from .folding import fold_batch_norms
from .token_grids import to_grid

LIBRARIES = ('timm', 'torchvision', 'mmpretrain')
_IMAGENET = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_HALF = (127.5, ) * 3, (127.5, ) * 3
_NO_FILE = ('hub', 'random')
_KEYS = {'library', 'name', 'weights'}
_PROBE = 64  # pixels, at least


def check_backbone(backbone: str | Mapping[str, Any]) -> dict[str, Any]:
    """A backbone setting as a mapping.

    Args:
        backbone: ``'timm::resnet18'``, the same as ``dict(library='timm', name='resnet18', weights='hub')``, or a
            config with a ``type`` of MMEngine's registry.

    Raises:
        ValueError: If it is none of these.
    """
    if isinstance(backbone, str):
        library, _, name = backbone.partition('::')
        backbone = dict(library=library, name=name)
    backbone = dict(backbone)
    if 'type' in backbone:
        return backbone
    unknown = sorted(set(backbone) - _KEYS)
    if unknown or backbone.get('library') not in LIBRARIES or not backbone.get('name'):
        raise ValueError(f'backbone={backbone} is none; give "LIBRARY::NAME" with one of {", ".join(LIBRARIES)}, a '
                         f'mapping of {", ".join(sorted(_KEYS))}, or a config with a type')
    return dict(dict(weights='hub'), **backbone)


def local_weights(backbone: Mapping[str, Any]) -> tuple[Path, ...]:
    """Local files that a backbone's weights come from.

    Args:
        backbone: As checked by :func:`check_backbone`.
    """
    initial = backbone.get('init_cfg')
    named = [backbone.get('weights'), backbone.get('checkpoint_path'), *(part.get('checkpoint') for part in (
        initial if isinstance(initial, (list, tuple)) else [initial]) if isinstance(part, Mapping))]
    paths = [Path(name).expanduser() for name in named if isinstance(name, (str, Path)) and name not in _NO_FILE]
    return tuple(path for path in paths if path.is_file())


class FrozenBackbone(nn.Module):
    """Gives feature levels of any backbone as grids.

    Args:
        backbone: As checked by :func:`check_backbone`. ``weights`` is ``'hub'`` for those that the library fetches,
            ``'random'`` for none, or the path of a file.
        levels: Numbers of the levels (stages or blocks, as the library counts them; negatives from the end), or names
            of modules, e.g. ``'layer2'``; torchvision has no numbers.

    Attributes:
        mean, std: Of the RGB inputs, on the scale 0 to 255, as the weights were trained.
        multiple: Sides of the inputs must be multiples of this many pixels.

    Raises:
        ImportError: If the library is not installed.
        ValueError: If there is no such model, level or module, or the weights do not fit.
    """

    def __init__(self, backbone: Mapping[str, Any], levels: Sequence[int | str]) -> None:
        super().__init__()
        self.name = backbone.get('type') or f'{backbone["library"]}::{backbone["name"]}'
        self.levels, self.mean, self.std, self.multiple = tuple(levels), *_HALF, 1
        kinds = {isinstance(level, str) for level in self.levels}
        if len(kinds) != 1:
            raise ValueError(f'levels={list(levels)} must be numbers of levels or names of modules, not both')
        self.by_module = kinds.pop()
        build = self._from_registry if 'type' in backbone else getattr(self, f'_from_{backbone["library"]}')
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # weights='random' and what a file leaves open must be the same in every run
            self.model = build(backbone)
        self.model.eval()  # returns None in some of mmpretrain's backbones
        self.requires_grad_(False)
        if self.by_module:
            self._check_modules()
        side = -(-_PROBE // self.multiple) * self.multiple
        folded: Any = fold_batch_norms(self.model, self._levels_of, side)
        self.model = folded.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) normalised RGB, fastest channels last -> one (B, C, h, w) float tensor for each level."""
        return self._levels_of(self.model, x)

    def _levels_of(self, model: nn.Module, x: Tensor) -> list[Tensor]:
        if self.by_module:
            return [to_grid(output, x.shape[-2:], name) for name, output in zip(self.levels, self._tapped(model, x))]
        if hasattr(model, 'forward_intermediates'):
            try:
                return model.forward_intermediates(x, indices=list(self.levels), intermediates_only=True, norm=True,
                                                   output_fmt='NCHW')
            except (AssertionError, IndexError) as error:
                raise ValueError(f'{self.name} has no levels {list(self.levels)}: {error}') from error
        outputs = model(x)
        if max(self.levels) >= len(outputs) or min(self.levels) < -len(outputs):
            raise ValueError(f'the backbone {self.name} returns {len(outputs)} levels, but levels={self.levels} was '
                             'given')
        return [to_grid(outputs[level], x.shape[-2:], level) for level in self.levels]

    def _from_registry(self, backbone: Mapping[str, Any]) -> nn.Module:
        model = MODELS.build(dict(backbone))
        logger = MMLogger.get_current_instance()
        level = logger.level
        logger.setLevel(logging.WARNING)  # else it lists every tensor that it initialised
        try:
            model.init_weights()
        finally:
            logger.setLevel(level)
        return model

    def _from_timm(self, backbone: Mapping[str, Any]) -> nn.Module:
        timm = _import('timm', 'timm')
        name, weights = backbone['name'], backbone['weights']
        if not timm.is_model(name):
            raise ValueError(f'timm has no model {name!r}; like it are {timm.list_models(f"*{name[:6]}*")[:5]}')
        options = dict(pretrained=weights == 'hub', num_classes=0)
        try:
            model = timm.create_model(name, dynamic_img_size=True, **options)
        except TypeError:  # not a transformer: it takes images of any size anyway
            model = timm.create_model(name, **options)
        config = model.pretrained_cfg
        self.mean, self.std = (tuple(255.0 * value for value in config[key]) for key in ('mean', 'std'))
        patch = getattr(getattr(model, 'patch_embed', None), 'patch_size', 1)
        self.multiple = patch if isinstance(patch, int) else max(patch)
        return _filled(model, weights)

    def _from_torchvision(self, backbone: Mapping[str, Any]) -> nn.Module:
        models = _import('torchvision.models', 'torchvision')
        name, weights = backbone['name'], backbone['weights']
        if name not in models.list_models():
            raise ValueError(f'torchvision has no model {name!r}; there are {models.list_models()[:5]} ...')
        if not self.by_module:
            raise ValueError(f"torchvision's models have no numbered levels, but levels={list(self.levels)} was given; "
                             "name modules, e.g. levels=['layer2', 'layer3'] of a ResNet")
        self.mean, self.std = _IMAGENET
        return _filled(models.get_model(name, weights='DEFAULT' if weights == 'hub' else None), weights)

    def _from_mmpretrain(self, backbone: Mapping[str, Any]) -> nn.Module:
        apis = _import('mmpretrain.apis', 'mmpretrain')
        name, weights = backbone['name'], backbone['weights']
        if name not in apis.list_models():
            raise ValueError(f'mmpretrain has no model {name!r}; like it are {apis.list_models(f"{name[:6]}*")[:5]}')
        given = {} if self.by_module else dict(backbone=dict(out_indices=self.levels))
        whole = apis.get_model(name, pretrained=weights == 'hub', device='cpu', **given)
        preprocessor = whole.data_preprocessor
        if getattr(preprocessor, 'mean', None) is not None:
            self.mean, self.std = (tuple(values.flatten().tolist()) for values in (preprocessor.mean, preprocessor.std))
        if not self.by_module:
            self.levels = tuple(range(len(self.levels)))
        return _filled(whole.backbone, weights)

    def _check_modules(self) -> None:
        known = dict(self.model.named_modules())
        missing = [name for name in self.levels if name not in known]
        if missing:
            raise ValueError(f'{self.name} has no modules {missing}; its first are '
                             f'{[name for name, _ in self.model.named_children()]}')

    def _tapped(self, model: nn.Module, x: Tensor) -> list[Any]:
        modules, outputs = dict(model.named_modules()), {}
        handles = [modules[name].register_forward_hook(lambda _, __, output, name=name: outputs.update({name: output}))
                   for name in self.levels]
        try:
            model(x)
        finally:
            for handle in handles:
                handle.remove()
        missing = [name for name in self.levels if name not in outputs]
        if missing:
            raise ValueError(f'the modules {missing} of {self.name} do not run in its forward pass; name others')
        return [outputs[name] for name in self.levels]


def _filled(model: nn.Module, weights: str) -> nn.Module:
    if weights not in ('hub', 'random'):
        load_local_weights(model, weights)
    return model


def _import(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f'the backbone needs {package}, which is not installed: pip install {package}') from error

