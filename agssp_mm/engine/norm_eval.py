"""Batch normalisation that keeps the statistics of its pretraining."""
from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@HOOKS.register_module()
class NormEvalHook(Hook):
    """Train with the running statistics of batch normalisation as they are, as ``norm_eval=True`` of MMDetection's
    own backbones does; for backbones without that setting. Weights and biases of the layers are still trained.

    Args:
        modules: Names of the children of the model whose batch normalisations are meant.

    Raises:
        ValueError: Before training, if a module does not exist or has no batch normalisation.
    """

    def __init__(self, modules: Sequence[str] = ('backbone', )) -> None:
        self.modules = tuple(modules)
        self._norms: list[nn.Module] = []

    def before_train(self, runner: Runner) -> None:
        """Find the layers."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self._norms = [norm for name in self.modules for norm in _norms_of(model, name)]

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Keep evaluation mode; the loops call ``model.train()`` at the start of every epoch."""
        for norm in self._norms:
            norm.eval()


def _norms_of(model: nn.Module, name: str) -> list[nn.Module]:
    children = dict(model.named_children())
    if name not in children:
        raise ValueError(f'NormEvalHook: {type(model).__name__} has no module {name!r}; it has: {", ".join(children)}')
    norms: list[nn.Module] = [module for module in children[name].modules() if isinstance(module, _BatchNorm)]
    if not norms:
        raise ValueError(f'NormEvalHook: {name} has no batch normalisation; leave the hook out')
    return norms
