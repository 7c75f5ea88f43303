"""The hook that keeps parts of a model exactly as they are."""
from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from agssp_mm.engine.unused_parameters import require_unused_parameters


@HOOKS.register_module()
class FreezeHook(Hook):
    """Freezes modules during training: no gradient, and evaluation mode, so that running statistics rest too.

    For backbones without a `frozen_stages` that reaches to the end. Every tensor of a frozen module is
    bit-identical after training, in the averaged weights of an EMAHook as well.

    Args:
        modules: Names of the modules as in `model.named_modules()`, such as 'backbone' or 'neck.lateral_convs'.
        norms_only: Leave the modules in training mode but for their batch norms. For those whose forward gives
            something else in training that the rest of the model counts on, such as mmdet's TridentResNet.

    Raises:
        ValueError: If no module is named; before training also if one does not exist, or if the model was
            wrapped for distributed training without `find_unused_parameters=True`.
    """

    def __init__(self, modules: Sequence[str] = ('backbone',), norms_only: bool = False) -> None:
        modules = (modules,) if isinstance(modules, str) else tuple(modules)
        if not modules:
            raise ValueError("FreezeHook needs the names of the modules to freeze, such as ('backbone',)")
        self.modules, self.norms_only = modules, norms_only
        self._frozen: list[nn.Module] = []

    def before_train(self, runner: Runner) -> None:
        """Switch the gradients off."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self._frozen = [_find(model, name) for name in self.modules]
        parameters = [one for module in self._frozen for one in module.parameters() if one.requires_grad]
        if parameters:
            require_unused_parameters(runner.model, f'FreezeHook takes {len(parameters)} parameters of '
                                                    f'{", ".join(self.modules)} out of training')
        for parameter in parameters:
            parameter.requires_grad_(False)
            # Left over from a training before: the optimizer would go on with it.
            parameter.grad = None
        runner.logger.info(f'Froze {", ".join(self.modules)}: {len(parameters)} parameters and all statistics')

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Keep evaluation mode; the loops call `model.train()` after every other stage."""
        for module in self._frozen:
            if not self.norms_only:
                module.eval()
                continue
            for norm in module.modules():
                if isinstance(norm, _BatchNorm):
                    norm.eval()


def _find(model: nn.Module, name: str) -> nn.Module:
    module = model
    for depth, part in enumerate(name.split('.')):
        children = dict(module.named_children())
        if part not in children:
            where = '.'.join(name.split('.')[:depth]) or type(model).__name__
            raise ValueError(f'FreezeHook: there is no module {name!r}; {where} has: '
                             f'{", ".join(children) or "no modules"}')
        module = children[part]
    return module
