"""Outputs of modules of any backbone, brought to grids: (B, C, h, w)."""
from collections.abc import Sequence
from typing import Any

from torch import Tensor

_MAX_PREFIX = 16  # class, distillation and register tokens before the patches


def to_grid(output: Any, image_size: Sequence[int], name: int | str) -> Tensor:
    """Tell feature maps, channels-last maps and token sequences apart by the shape of the image.

    Args:
        output: Of a module; of a tuple or list the first tensor counts. (B, C, h, w), (B, h, w, C), or (B, N, C) with
            up to 16 tokens before those of the h * w patches.
        image_size: (H, W) of the input.
        name: What error messages call the level.

    Raises:
        ValueError: If the output is nothing of that kind.
    """
    while isinstance(output, (tuple, list)) and output:
        output = output[0]
    if isinstance(output, Tensor) and output.ndim == 4:
        for exactly in (True, False):
            if _is_grid(output.shape[-2:], image_size, exactly):
                return output
            if _is_grid(output.shape[1:3], image_size, exactly):
                return output.permute(0, 3, 1, 2)
    if isinstance(output, Tensor) and output.ndim == 3:
        for prefix in range(_MAX_PREFIX + 1):
            size = _token_size(output.shape[1] - prefix, image_size)
            if size:
                return output[:, prefix:].transpose(1, 2).reshape(len(output), -1, *size)
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    raise ValueError(f'the output {shape} of the level {name} is no grid of features of an image of '
                     f'{image_size[0]}x{image_size[1]} pixels; name another level')


def _is_grid(size: Sequence[int], image_size: Sequence[int], exactly: bool) -> bool:
    """Whether both sides are the image's divided by one stride; not exactly: rounded up or down."""
    if exactly:
        return size[0] * image_size[1] == size[1] * image_size[0] and size[0] <= image_size[0]
    # One cell says only that the stride is not far below the side: a strip may be narrower than one stride.
    longest = max(image_size)
    strides = [range(-(-length // (cells + 1)), (length // (cells - 1) if cells > 1 else longest) + 1)
               for cells, length in zip(size, image_size)]
    return max(one.start for one in strides) < min(one.stop for one in strides)


def _token_size(number: int, image_size: Sequence[int]) -> tuple[int, int] | None:
    """(h, w) with h * w = number and the aspect ratio of the image: whole patches of one size."""
    for patch in range(4, min(image_size) + 1):
        size = image_size[0] // patch, image_size[1] // patch
        if size[0] * size[1] == number and not (image_size[0] % patch or image_size[1] % patch):
            return size
    return None
