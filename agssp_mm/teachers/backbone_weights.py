"""Weights of a frozen backbone from a local file: all of them must fit, or nothing is loaded."""
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

# What a classifier carries behind its last feature level; a backbone may go without it.
_HEADS = ('head', 'heads', 'fc', 'classifier', 'head_dist', 'conv_head', 'bn2', 'fc_norm', 'norm_head', 'mask_token',
          'attn_pool', 'aux', 'aux1', 'aux2', 'AuxLogits', 'neck', 'data_preprocessor')
_WRAPPERS = ('state_dict', 'model', 'teacher')
_PREFIXES = ('module.', 'backbone.', 'model.')


def load_local_weights(model: nn.Module, path: str | Path) -> None:
    """Fill a model from a ``.pth``, ``.pt`` or ``.safetensors`` file.

    A wrapper such as ``state_dict`` and prefixes such as ``backbone.`` are taken off, and names are converted by the
    model's own library where it has a rule for that (timm's ``checkpoint_filter_fn``).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds anything but tensors and plain values, or does not fill the whole model.
    """
    state = _without_prefixes(_read(Path(path)))
    convert = getattr(sys.modules[type(model).__module__], 'checkpoint_filter_fn', None)
    try:
        state = convert(state, model) if convert else state
        missing, unexpected = model.load_state_dict(state, strict=False)
    except (RuntimeError, KeyError, TypeError) as error:
        raise ValueError(f'the weights {path} do not fit {type(model).__name__}: {error}') from error
    missing = [name for name in missing if name.split('.')[0] not in _HEADS]
    unexpected = [name for name in unexpected if name.split('.')[0] not in _HEADS]
    if missing or unexpected:
        raise ValueError(f'the weights {path} do not fit {type(model).__name__}: {len(missing)} tensors are missing, '
                         f'e.g. {missing[:3]}, {len(unexpected)} have no place, e.g. {unexpected[:3]}; give those of '
                         'this very architecture')


def _read(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(f'no weights at {path}; give a .pth, .pt or .safetensors file')
    try:
        if path.suffix == '.safetensors':
            from safetensors.torch import load_file
            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location='cpu', weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise ValueError(f'{path} is not a file of weights that can be read safely ({type(error).__name__}); give one '
                         'that holds tensors and plain values only') from error
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not any(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f'{path} holds no tensors under names; give a state dict')
    return {name: value for name, value in content.items() if isinstance(value, Tensor)}


def _without_prefixes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _PREFIXES:
        own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        state = own or state
    return dict(state)
