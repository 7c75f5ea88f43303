"""Telling before DistributedDataParallel does that parameters get no gradient."""
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

_ADVICE = ('set `find_unused_parameters=True` at the top level of the config (or in model_wrapper_cfg where there '
           'is one)')


def finds_unused_parameters(model: nn.Module) -> bool:
    """Whether a model, as the runner holds it, copes with parameters without gradient.

    Args:
        model: The model, wrapped or not.

    Returns:
        False only for a DistributedDataParallel built with `find_unused_parameters=False`.
    """
    if not isinstance(model, DistributedDataParallel):
        return True
    return model.find_unused_parameters or model.static_graph


def require_unused_parameters(model: nn.Module, why: str) -> None:
    """Raise unless the model copes with parameters without gradient.

    Args:
        model: The model as the runner holds it.
        why: What leaves parameters without gradient, as the start of the message.

    Raises:
        ValueError: If it is a DistributedDataParallel with `find_unused_parameters=False`.
    """
    if not finds_unused_parameters(model):
        raise ValueError(f'{why}; under distributed training {_ADVICE}')


def check_unused_parameters(model: nn.Module, losses: Mapping[str, Any]) -> None:
    """Raise if losses leave parameters of a distributed model without gradient and it does not allow that.

    Where it does allow that, parts under reentrant activation checkpointing are refused: DDP takes their parameters for
    unused and fails in the backward pass, where they are used.

    Args:
        model: The model as the runner holds it.
        losses: What its forward returned, tensors or lists of tensors by name.

    Raises:
        ValueError: Naming the first of the parameters, or what to do about the checkpointing.
    """
    if not isinstance(model, DistributedDataParallel) or model.static_graph:
        return
    reached, opaque = _reached(losses)
    if opaque and model.find_unused_parameters:
        raise ValueError('the model checkpoints activations (with_cp=True, use_reentrant=True of PyTorch), which under '
                         'distributed training does not go with find_unused_parameters=True: set with_cp=False')
    if opaque or model.find_unused_parameters:
        return
    unused = [name for name, parameter in model.module.named_parameters()
              if parameter.requires_grad and id(parameter) not in reached]
    if unused:
        names = ', '.join(unused[:3]) + (', ...' if len(unused) > 3 else '')
        require_unused_parameters(model, f'the losses leave {len(unused)} trainable parameter(s) without gradient '
                                         f'({names}), for example because only earlier levels are distilled')


def _reached(losses: Mapping[str, Any]) -> tuple[set[int], bool]:
    """Ids of the parameters the losses depend on, and whether a part of the graph cannot be looked into."""
    tensors = [tensor for value in losses.values()
               for tensor in (value if isinstance(value, (list, tuple)) else [value]) if isinstance(tensor, Tensor)]
    pending = [tensor.grad_fn for tensor in tensors if tensor.grad_fn is not None]
    seen, reached, opaque = set(pending), set(), False
    while pending:
        node = pending.pop()
        # Reentrant activation checkpointing runs the inner graph in the backward pass only.
        opaque |= node.name() == 'CheckpointFunctionBackward'
        if hasattr(node, 'variable'):
            reached.add(id(node.variable))
        for parent, _ in node.next_functions:
            if parent is not None and parent not in seen:
                seen.add(parent)
                pending.append(parent)
    return reached, opaque
