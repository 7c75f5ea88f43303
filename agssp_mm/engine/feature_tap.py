"""Recording what a backbone returns, and nothing left behind."""
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle


class BackboneCall(NamedTuple):
    """One call of the backbone: the (height, width) of its input, what it returned, and the number of images."""

    size: tuple[int, int]
    outputs: Any
    num_images: int


class FeatureTap:
    """Records the calls of a backbone between `open` and `close`.

    Args:
        backbone: The module to listen to; it is not changed.
    """

    def __init__(self, backbone: nn.Module) -> None:
        self._backbone = backbone
        self._handle: RemovableHandle | None = None
        self.calls: list[BackboneCall] = []

    def open(self) -> None:
        """Start recording, with no calls."""
        self.close()
        self._handle = self._backbone.register_forward_hook(self._record, with_kwargs=True)

    def close(self) -> None:
        """Stop recording, leave no hook, and let go of the features."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None
        self.calls = []

    def _record(self, module: nn.Module, args: tuple, kwargs: dict, outputs: Any) -> None:
        # Without gradient it is no call to learn from: a momentum encoder, a look at pseudo labels.
        if not torch.is_grad_enabled():
            return
        image = next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)
        if image is None:
            raise ValueError(f'{type(module).__name__} was called without an image tensor; nothing to distil into')
        height, width = image.shape[-2:]
        self.calls.append(BackboneCall((height, width), outputs, len(image)))
