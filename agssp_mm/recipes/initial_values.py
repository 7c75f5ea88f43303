"""Weights of a backbone that neither its constructor nor its initialisation sets."""
import contextlib
import logging
from collections.abc import Iterator

import torch
from mmengine.logging import MMLogger

from .building import build

_USUAL = 'Conv2d'


def init_what_nothing_sets(backbone: dict, scope: str) -> dict | None:
    """An ``init_cfg`` for a backbone that leaves weights to the memory they lie in unless it loads a checkpoint.

    mmdet's TridentConv is of that kind: without a checkpoint, training starts from arbitrary numbers or NaN. It is
    found by building the backbone in memory that PyTorch has filled with NaN.

    Args:
        backbone: Config of a backbone that loads nothing; not changed.
        scope: Registry scope of bare names.

    Returns:
        None for a backbone that sets all its weights, as nearly all do; else Kaiming's initialisation (He et al.,
        arXiv 1502.01852) of its convolutions and of the modules in question.
    """
    with _memory_of_nan(), _quiet():
        built = build(backbone, scope)
        if hasattr(built, 'init_weights'):
            built.init_weights()
    unset = {type(module).__name__ for module in built.modules()
             for one in module.parameters(recurse=False) if one.isnan().any()}
    return dict(type='Kaiming', layer=[_USUAL, *sorted(unset)]) if unset else None


@contextlib.contextmanager
def _memory_of_nan() -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """MMEngine lists every initialised weight, a thousand lines and more, of a model that is thrown away here."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
