"""Convolutions in the memory format that CPUs with vector units, and GPUs under mixed precision, prefer."""
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Keep 4-D weights in channels-last order, which every convolution then passes on to what it computes.

    Values, shapes and checkpoints stay what they are; only speed changes
    (https://pytorch.org/tutorials/intermediate/memory_format_tutorial.html).
    """

    def before_train(self, runner: Runner) -> None:
        """Convert the weights in place, so that an optimizer built before keeps them."""
        runner.model.to(memory_format=torch.channels_last)
