"""Mixed precision in bfloat16, on CPUs too."""
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Run the forward pass of training under bfloat16 autocast; weights, gradients and optimizer stay float32.

    MMEngine's ``AmpOptimWrapper`` refuses CPUs. bfloat16 has the range of float32, so losses need no scaling
    (https://pytorch.org/docs/stable/amp.html#cpu-op-specific-behavior). Worth it where the processor computes in
    bfloat16 (AVX-512 BF16, AMX); elsewhere it is slower.

    Args:
        **kwargs: As of :class:`mmengine.optim.OptimWrapper`.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast around the forward pass."""
        with super().optim_context(model), torch.autocast(get_device(), dtype=torch.bfloat16):
            yield
