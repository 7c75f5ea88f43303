"""Patch features of a CLIP vision transformer by value-value attention, beside its ordinary stream.

V-V attention comes from CLIP Surgery (arXiv 2304.05653); KeAD (arXiv 2509.18919) reads it at several depths.
The tower is run through its own modules and weights and stays as it is.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SURGERIES = ('vv_res', 'vv')
LEVELS = ('distinct', 'aliased')
#: Up to here attention weights are held as a matrix, 4 MB per image and head; beyond, fused attention saves
#: memory.
_EXACT_TOKENS = 1024


@dataclass(frozen=True)
class LevelPlan:
    """Which depths are read, and how.

    Attributes:
        depth: Blocks of the tower.
        layers: Blocks (1-based, rising) after which features are read.
        dpam_layer: The last ``dpam_layer - 1`` blocks have V-V attention; levels before them read the
            ordinary stream.
        surgery: ``'vv_res'`` adds the V-V outputs up, ``'vv'`` takes each block's own.
        levels: ``'distinct'``, or ``'aliased'``: every V-V level reads the sum after the last block, as the
            published implementation did by adding in place.
    """

    depth: int
    layers: tuple[int, ...]
    dpam_layer: int
    surgery: str = 'vv_res'
    levels: str = 'distinct'

    @classmethod
    def of(cls, depth: int, layers: Sequence[int] | None, dpam_layer: int | None, surgery: str,
           levels: str) -> Self:
        """Check settings against the depth of a tower and fill in its quarters: 3, 6, 9, 12 and 10 of 12.

        Raises:
            ValueError: If they do not fit.
        """
        if layers is None:
            layers = sorted({-(-depth * quarter // 4) for quarter in (1, 2, 3, 4)})
        layers = tuple(layers)
        if not layers or list(layers) != sorted(set(layers)) or layers[0] < 1 or layers[-1] > depth:
            raise ValueError(f'feature_layers must be rising block numbers in [1, {depth}], got '
                             f'{list(layers)}')
        if dpam_layer is None:
            dpam_layer = max(depth - layers[0] + 1, 2)
        if not 2 <= dpam_layer <= depth + 1:
            raise ValueError(f'dpam_layer must lie in [2, {depth + 1}] for a tower of {depth} blocks (the '
                             f'last dpam_layer - 1 blocks have V-V attention), got {dpam_layer}')
        if surgery not in SURGERIES:
            raise ValueError(f'surgery must be one of {SURGERIES}, got {surgery!r}')
        if levels not in LEVELS:
            raise ValueError(f'levels must be one of {LEVELS}, got {levels!r}')
        if levels == 'aliased' and surgery != 'vv_res':
            raise ValueError("levels='aliased' exists for surgery='vv_res' only: without the running sum "
                             "every block has an output of its own; use levels='distinct'")
        return cls(depth, layers, dpam_layer, surgery, levels)

    @property
    def first_vv_block(self) -> int:
        """1-based number of the first block with V-V attention."""
        return self.depth - self.dpam_layer + 2

    @property
    def level_index(self) -> tuple[int, ...]:
        """For each level, its place among the feature tensors that differ."""
        if self.levels == 'distinct':
            return tuple(range(len(self.layers)))
        plain = sum(layer < self.first_vv_block for layer in self.layers)
        return tuple(min(level, plain) for level in range(len(self.layers)))

    @property
    def level_weights(self) -> tuple[float, ...]:
        """Share of each differing feature tensor in the mean over the levels."""
        index = self.level_index
        return tuple(index.count(place) / len(index) for place in range(max(index) + 1))


class TowerOutput(NamedTuple):
    """Features of a batch of B images, not normalised.

    Attributes:
        tokens: (U, B, 1 + P, D), class position first; U differing levels, see ``LevelPlan.level_index``.
        embedding: (B, D), the plain CLIP image embedding.
    """

    tokens: Tensor
    embedding: Tensor


def check_tower(visual: nn.Module, name: str) -> None:
    """Refuse vision towers that the V-V path is not defined for.

    Raises:
        ValueError: Naming the model and what is wrong with it.
    """
    from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
    if not isinstance(visual, VisionTransformer):
        fault = f'it is a {type(visual).__name__}'
    elif visual.attn_pool is not None:
        fault = 'it pools by attention'
    elif visual.pool_type != 'tok':
        fault = f'its image embedding is no class token (pooling {visual.pool_type!r})'
    elif not all(type(block) is ResidualAttentionBlock for block in visual.transformer.resblocks):
        fault = (f'its blocks are {type(visual.transformer.resblocks[0]).__name__}s with an attention of '
                 'their own')
    else:
        return
    raise ValueError(f'the vision tower of {name!r} does not fit: {fault}; needed is a plain vision '
                     "transformer with a class token, such as 'ViT-B-16-plus-240', 'ViT-B-16' or 'ViT-L-14'")


def vv_features(visual: Any, images: Tensor, plan: LevelPlan) -> TowerOutput:
    """Run an open_clip ``VisionTransformer`` with the V-V path beside it.

    With X the ordinary stream and A_l V-V attention with the weights of block l, a level l is X_l before the
    first V-V block f; from there ``vv`` has V_l = A_l(LN X_{l-1}) and ``vv_res`` V_l = X_{f-1} + sum_{j=f..l}
    A_j(LN X_{j-1}). Every level goes through the tower's final norm and projection.

    Args:
        visual: The tower, see :func:`check_tower`.
        images: (B, 3, S, S) float32, normalised, at the size of the tower.
        plan: The levels.
    """
    stream = _embed(visual, images)
    vv_stream, levels = None, []
    for number, block in enumerate(visual.transformer.resblocks, start=1):
        last = number == plan.depth
        query, key, value = _heads(block, block.ln_1(stream))
        if number >= plan.first_vv_block:
            if plan.surgery == 'vv_res':
                base = stream if vv_stream is None else vv_stream
                vv_stream = base + _attend(block, value, value, value)
            elif number in plan.layers:
                vv_stream = _attend(block, value, value, value)
        if last:  # of the ordinary stream, only the class token is read from here on
            stream, query = stream[:, :1], query[:, :, :1]
        stream = stream + _attend(block, query, key, value)
        stream = stream + block.ls_2(block.mlp(block.ln_2(stream)))
        if _is_read(plan, number):
            levels.append(stream if number < plan.first_vv_block else vv_stream)
    tokens = torch.stack([visual.ln_post(level) @ visual.proj for level in levels])
    return TowerOutput(tokens, visual.ln_post(stream[:, 0]) @ visual.proj)


def _is_read(plan: LevelPlan, number: int) -> bool:
    if plan.levels == 'distinct' or number < plan.first_vv_block:
        return number in plan.layers
    return number == plan.depth and plan.layers[-1] >= plan.first_vv_block


def _embed(visual: Any, images: Tensor) -> Tensor:
    patches = visual.conv1(images).flatten(2).transpose(1, 2)
    class_token = visual.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
    tokens = torch.cat([class_token, patches], dim=1)
    return visual.ln_pre(tokens + visual.positional_embedding.to(tokens.dtype))


def _heads(block: Any, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Project (B, N, D) once to query, key and value, each (B, heads, N, D / heads)."""
    attention = block.attn
    projected = F.linear(tokens, attention.in_proj_weight, attention.in_proj_bias)
    split = projected.unflatten(-1, (3, attention.num_heads, -1))
    return split.permute(2, 0, 3, 1, 4).contiguous().unbind(0)  # one copy here spares one in every product


def _attend(block: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    if query.dtype == torch.float32 and key.shape[2] <= _EXACT_TOKENS:
        # In the order of PyTorch's MultiheadAttention and the published code: the ordinary stream stays bit-
        # identical.
        weights = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        mixed = weights.softmax(-1) @ value
    else:
        mixed = F.scaled_dot_product_attention(query, key, value)
    return block.ls_1(block.attn.out_proj(mixed.transpose(1, 2).flatten(2)))
