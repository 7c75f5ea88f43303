"""Swin: MMDetection merges patches in another channel order and nests attention and MLP differently."""
import torch
from torch import Tensor

from agssp_mm.checkpoints.conversion.names import Architecture, Names, Rule, State

_STAGES = (0, 1, 2, 3)
# Of the four pixels that are merged, `Unfold` (MMDetection) goes through rows first, all others through columns.
_ORDER = [0, 2, 1, 3]
_TABLE, _INDEX = 'relative_position_bias_table', 'relative_position_index'
_LAST_ONLY = 'the other library normalises its last level only'
_SHIFT_NOTE = ('features agree where every level is larger than the attention window; at or below that size, '
               'MMDetection shifts its windows and {} does not')


def _norm_to_theirs(tensor: Tensor) -> Tensor:
    """(4C,): channel c of pixel k from 4 * c + k to C * k + c."""
    return tensor.reshape(-1, 4)[:, _ORDER].t().reshape(-1)


def _norm_to_ours(tensor: Tensor) -> Tensor:
    return tensor.reshape(4, -1)[_ORDER].t().reshape(-1)


def _reduction_to_theirs(tensor: Tensor) -> Tensor:
    """(2C, 4C): the same in every row."""
    return tensor.reshape(len(tensor), -1, 4)[:, :, _ORDER].transpose(1, 2).reshape(len(tensor), -1)


def _reduction_to_ours(tensor: Tensor) -> Tensor:
    return tensor.reshape(len(tensor), 4, -1)[:, _ORDER].transpose(1, 2).reshape(len(tensor), -1)


def position_index(num_offsets: int) -> Tensor:
    """Which row of the bias table each pair of pixels of a window takes.

    Args:
        num_offsets: Rows of the table: (2 * side - 1) squared.

    Returns:
        (side ** 2, side ** 2) int64.
    """
    side = (round(num_offsets ** 0.5) + 1) // 2
    axis = torch.arange(side)
    pixels = torch.stack(torch.meshgrid(axis, axis, indexing='ij')).flatten(1)
    offsets = pixels[:, :, None] - pixels[:, None, :] + side - 1
    return offsets[0] * (2 * side - 1) + offsets[1]


def _with_index(state: State) -> State:
    """Add the index tables, which some libraries keep in their files and others compute."""
    tables = {name.replace(_TABLE, _INDEX): position_index(len(value)) for name, value in state.items()
              if name.endswith(_TABLE)}
    return {**tables, **state}


def _without_index(state: State) -> State:
    return {name: value for name, value in state.items() if not name.endswith(_INDEX)}


def _block(ours: str, theirs: str, mlp: tuple[str, str]) -> list[Rule]:
    attention = f'{ours}.attn.w_msa'
    return [Rule(f'{ours}.norm#.*', f'{theirs}.norm#.*'), Rule(f'{attention}.{_TABLE}', f'{theirs}.attn.{_TABLE}'),
            Rule(f'{attention}.qkv.*', f'{theirs}.attn.qkv.*'), Rule(f'{attention}.proj.*', f'{theirs}.attn.proj.*'),
            Rule(f'{ours}.ffn.layers.0.0.*', f'{theirs}.mlp.{mlp[0]}.*'),
            Rule(f'{ours}.ffn.layers.1.*', f'{theirs}.mlp.{mlp[1]}.*')]


def _merging(ours: str, theirs: str) -> list[Rule]:
    return [Rule(f'{ours}.norm.*', f'{theirs}.norm.*', _norm_to_theirs, _norm_to_ours),
            Rule(f'{ours}.reduction.weight', f'{theirs}.reduction.weight', _reduction_to_theirs, _reduction_to_ours)]


def _official(ends: tuple[Rule, ...], merging_stage: int, stage_name: str = 'layers.{}') -> tuple[Rule, ...]:
    """Rules of libraries that follow the authors' code; some merge at the end of a stage, some before the next."""
    rules = [Rule('patch_embed.projection.*', 'patch_embed.proj.*'), Rule('patch_embed.norm.*')]
    for stage in _STAGES:
        rules += _block(f'stages.{stage}.blocks.#', f'{stage_name.format(stage)}.blocks.#', ('fc1', 'fc2'))
        rules += _merging(f'stages.{stage}.downsample', f'{stage_name.format(stage + merging_stage)}.downsample')
    return (*rules, *ends)


def _torchvision() -> tuple[Rule, ...]:
    rules = [Rule('patch_embed.projection.*', 'features.0.0.*'), Rule('patch_embed.norm.*', 'features.0.2.*')]
    for stage in _STAGES:
        ours, theirs = f'stages.{stage}.blocks.#', f'features.{2 * stage + 1}.#'
        rules += [*_block(ours, theirs, ('0', '3')),
                  Rule(f'{ours}.attn.w_msa.{_INDEX}', f'{theirs}.attn.{_INDEX}', torch.flatten),
                  *_merging(f'stages.{stage}.downsample', f'features.{2 * stage + 2}')]
    return (*rules, Rule('norm3.*', 'norm.*'), Rule('head.fc.*', 'head.*'))


_OURS = (Rule('patch_embed.projection.*'), Rule('patch_embed.norm.*'), Rule('stages.#.blocks.#.norm#.*'),
         Rule('stages.#.blocks.#.attn.w_msa.*'), Rule('stages.#.blocks.#.attn.w_msa.*.*'),
         Rule('stages.#.blocks.#.ffn.layers.0.0.*'), Rule('stages.#.blocks.#.ffn.layers.1.*'),
         Rule('stages.#.downsample.norm.*'), Rule('stages.#.downsample.reduction.weight'), Rule('norm#.*'),
         Rule('head.fc.*'))
_FINAL = {'norm0.*': _LAST_ONLY, 'norm1.*': _LAST_ONLY, 'norm2.*': _LAST_ONLY}
SWIN = Architecture('swin', {
    'mmdet': Names(_OURS, to_theirs=_with_index, to_ours=_without_index),
    'mmpretrain': Names(_OURS, to_theirs=_with_index, to_ours=_without_index),
    'torchvision': Names(_torchvision(), dropped=_FINAL, to_theirs=_with_index, to_ours=_without_index,
                         note=_SHIFT_NOTE.format('torchvision')),
    'timm': Names(_official((Rule('norm3.*', 'norm.*'), Rule('head.fc.*')), 1), dropped=_FINAL,
                  ignored=(f'layers.#.blocks.#.attn.{_INDEX}', 'layers.#.blocks.#.attn_mask'),
                  note=_SHIFT_NOTE.format('timm')),
    'detectron2': Names(
        (*_official((Rule('norm#.*'),), 0),
         *(Rule(f'stages.{stage}.blocks.#.attn.w_msa.{_INDEX}', f'layers.{stage}.blocks.#.attn.{_INDEX}')
           for stage in _STAGES)),
        dropped={'head.fc.*': 'the Swin of Detectron2 has no classifier'}, to_theirs=_with_index,
        to_ours=_without_index),
})
