"""Mixed precision in bfloat16, on CPUs too."""
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn

#: Keys of ``torch.cpu.get_capabilities`` that say a processor computes in bfloat16, on x86 and on ARM.
_BFLOAT16_UNITS = ('avx512_bf16', 'amx_bf16', 'bf16', 'sve_bf16')


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Run the forward pass of training under bfloat16 autocast; weights, gradients and optimizer stay float32.

    MMEngine's ``AmpOptimWrapper`` refuses CPUs. bfloat16 has the range of float32, so losses need no scaling
    (https://pytorch.org/docs/stable/amp.html#cpu-op-specific-behavior). Worth it where the processor computes in
    bfloat16 (AVX-512 BF16, AMX); elsewhere it is slower, and a warning says so.

    Args:
        *args, **kwargs: As of :class:`mmengine.optim.OptimWrapper`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if get_device() == 'cpu' and not _has_bfloat16_units():
            print_log('this processor has no units for bfloat16, so mixed precision makes the training slower and not '
                      'faster; leave out --amp', 'current', logging.WARNING)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast around the forward pass."""
        with super().optim_context(model), torch.autocast(get_device(), dtype=torch.bfloat16):
            yield


def _has_bfloat16_units() -> bool:
    """Whether the processor computes in bfloat16, or this PyTorch cannot tell."""
    capabilities = getattr(torch.cpu, 'get_capabilities', None)
    return capabilities is None or any(capabilities().get(key) is True for key in _BFLOAT16_UNITS)
