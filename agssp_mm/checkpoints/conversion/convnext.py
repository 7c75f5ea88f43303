"""ConvNeXt: the same tensors everywhere; torchvision keeps the layer scale as (C, 1, 1)."""
from torch import Tensor

from agssp_mm.checkpoints.conversion.names import Architecture, Names, Rule

_STAGES = (0, 1, 2, 3)
_INNER_NORMS = {f'norm{level}.*': 'the other library normalises its last level only' for level in (0, 1, 2)}


def _to_map(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1, 1, 1)


def _to_matrix(tensor: Tensor) -> Tensor:
    """(out, in, 1, 1) of a convolution, which some models have there, becomes (out, in)."""
    return tensor.flatten(1)


_OURS = (Rule('downsample_layers.#.#.*'), Rule('stages.#.#.gamma'), Rule('stages.#.#.depthwise_conv.*'),
         Rule('stages.#.#.norm.*'), Rule('stages.#.#.pointwise_conv#.*'), Rule('norm#.*'), Rule('head.fc.*'))


def _torchvision() -> tuple[Rule, ...]:
    rules = []
    for stage in _STAGES:
        ours, theirs = f'stages.{stage}.#', f'features.{2 * stage + 1}.#'
        rules += [Rule(f'downsample_layers.{stage}.#.*', f'features.{2 * stage}.#.*'),
                  Rule(f'{ours}.gamma', f'{theirs}.layer_scale', _to_map, Tensor.flatten),
                  Rule(f'{ours}.depthwise_conv.*', f'{theirs}.block.0.*'),
                  Rule(f'{ours}.norm.*', f'{theirs}.block.2.*')]
        rules += _pointwise(ours, f'{theirs}.block', ('3', '5'))
    return (*rules, Rule('norm3.*', 'classifier.0.*'), Rule('head.fc.*', 'classifier.2.*'))


def _timm() -> tuple[Rule, ...]:
    rules = [Rule('downsample_layers.0.#.*', 'stem.#.*'), Rule('downsample_layers.#.#.*', 'stages.#.downsample.#.*'),
             Rule('stages.#.#.gamma', 'stages.#.blocks.#.gamma'), Rule('stages.#.#.norm.*', 'stages.#.blocks.#.norm.*'),
             Rule('stages.#.#.depthwise_conv.*', 'stages.#.blocks.#.conv_dw.*'),
             *_pointwise('stages.#.#', 'stages.#.blocks.#.mlp', ('fc1', 'fc2'))]
    return (*rules, Rule('norm3.*', 'head.norm.*'), Rule('head.fc.*'))


def _pointwise(ours: str, theirs: str, names: tuple[str, str]) -> list[Rule]:
    pairs = ((f'{ours}.pointwise_conv{number}', f'{theirs}.{name}') for number, name in zip((1, 2), names, strict=True))
    return [rule for mine, other in pairs
            for rule in (Rule(f'{mine}.weight', f'{other}.weight', _to_matrix, _to_matrix),
                         Rule(f'{mine}.bias', f'{other}.bias'))]


CONVNEXT = Architecture('convnext', {
    'mmdet': Names(_OURS, note="MMDetection takes it as backbone=dict(type='mmpretrain.ConvNeXt', ...)"),
    'mmpretrain': Names(_OURS),
    'torchvision': Names(_torchvision(), dropped=_INNER_NORMS),
    'timm': Names(_timm(), dropped=_INNER_NORMS),
})
