"""The hook that pulls the activation maps of a backbone towards anomaly maps."""
import logging
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS, MODELS
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from agssp_mm.engine.export_weights import export_weights, remember_parents
from agssp_mm.engine.feature_tap import BackboneCall, FeatureTap
from agssp_mm.engine.moved_maps import check_maps_move
from agssp_mm.engine.unused_parameters import check_unused_parameters
from agssp_mm.models.activation import activation_map, mean_agreement, resize_map
from agssp_mm.models.levels import as_levels, count_levels, resolve_levels
from agssp_mm.models.map_carriers import stack_maps, take_maps


@HOOKS.register_module()
class DistillationPretrainer(Hook):
    """Adds the AGBP loss (AGSSP, arXiv 2509.18919) to any model with a `.backbone`.

    Per level, the sum of the squared channels is pulled towards the anomaly map that the data samples carry. The
    model is not edited: PyTorch's own forward hooks read the features and extend the dict of losses, and are
    there only while a training forward runs. Logs `loss_anomaly_s<level>` and `agreement_s<level>` (Pearson); a
    loss that the model itself calls `loss` is logged as `loss_task`, because `loss` is the total. At the end of
    training it writes `backbone.pth` into the work_dir: keys `backbone.*`, averaged weights where an EMAHook runs.
    Inert in validation and test.

    Args:
        levels: Which of the feature maps the backbone returns; negatives count from the end.
        loss: Config of the map loss, `CosineMapLoss` or `NormalizedL2MapLoss`; cosine if None.
        weight: Factor of the loss; a pair (start, end) changes it linearly over the training.
        view: Which call of the backbone to distil (0 is the first), for models that call it several times; of
            samples with one map per view (`MultiViewWithMaps`) it takes the map of the same number.
        clean_forward: Run `model.extract_feat` once more and distil that, for models such as SimMIM whose own
            forward sees masked images.

    Raises:
        ValueError: If a setting, or later the model or a batch, does not fit; the message says what to do.
    """

    # Last, so that nothing can fail between its `before_train_iter` and the forward.
    priority = 'VERY_LOW'

    def __init__(self, levels: Sequence[int] = (-2, -1), loss: dict | None = None,
                 weight: float | tuple[float, float] = 1.0, view: int | None = None,
                 clean_forward: bool = False) -> None:
        levels = tuple(levels) if isinstance(levels, Sequence) else levels
        if not isinstance(levels, tuple) or not levels or not all(type(level) is int for level in levels):
            raise ValueError(f'levels must be one or more level numbers such as (-2, -1), got {levels!r}')
        if view is not None and clean_forward:
            raise ValueError("view picks one of the model's own backbone calls and clean_forward adds another "
                             'one: set only one of them')
        self.levels = levels
        self.loss = MODELS.build(dict(loss or dict(type='CosineMapLoss')))
        self.weights = _weight_range(weight)
        self.view = view
        self.clean_forward = clean_forward
        self._weight = self.weights[0]
        self._wrapper: nn.Module | None = None
        self._tap: FeatureTap | None = None
        self._handles: list[RemovableHandle] = []
        self._maps: list[Tensor] = []
        self._is_checked = self._has_warned = False

    def before_train(self, runner: Runner) -> None:
        """Check what can be checked before the first batch."""
        model = _unwrap(runner.model)
        backbone = getattr(model, 'backbone', None)
        if not isinstance(backbone, nn.Module):
            children = ', '.join(name for name, _ in model.named_children()) or 'none'
            raise ValueError(f'DistillationPretrainer needs a model with a `.backbone`; {type(model).__name__} has '
                             f'none (its modules: {children})')
        if self.clean_forward and not callable(getattr(model, 'extract_feat', None)):
            raise ValueError(f'clean_forward needs a model with extract_feat; {type(model).__name__} has none')
        count = count_levels(backbone)
        if count is not None:
            resolve_levels(self.levels, count, type(backbone).__name__)
        check_maps_move(runner.cfg)
        self._release()
        self._tap = FeatureTap(backbone)
        self._wrapper = runner.model
        self._is_checked = self._has_warned = False
        remember_parents(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Put the forward hooks on for one forward."""
        start, end = self.weights
        self._weight = start + (end - start) * runner.iter / max(runner.max_iters - 1, 1)
        self._release()
        model = _unwrap(runner.model)
        self._tap.open()
        # always_call: preprocessing or a forward that fails must not leave hooks either.
        self._handles = [
            model.data_preprocessor.register_forward_hook(self._after_preprocessing, always_call=True),
            model.register_forward_pre_hook(self._before_forward, with_kwargs=True),
            model.register_forward_hook(self._after_forward, with_kwargs=True, always_call=True),
        ]

    def after_train(self, runner: Runner) -> None:
        """Write `backbone.pth`."""
        self._release()
        path = export_weights(runner, 'backbone.pth', prefix='backbone.')
        init_cfg = f"dict(type='Pretrained', checkpoint='{path}', prefix='backbone.')"
        runner.logger.info(f'Wrote the pretrained backbone to {path}. To start a detector from it:\n'
                           f'model = dict(backbone=dict(init_cfg={init_cfg}))')

    def _after_preprocessing(self, module: nn.Module, args: tuple, batch: Any) -> None:
        if batch is None:
            self._release()

    def _before_forward(self, model: nn.Module, args: tuple, kwargs: dict) -> None:
        if _mode(args, kwargs) == 'loss' and model.training:
            self._maps = take_maps(_argument(args, kwargs, 1, 'data_samples'), self.view)

    def _after_forward(self, model: nn.Module, args: tuple, kwargs: dict, losses: Any) -> dict | None:
        failed = losses is None
        if model.training and not failed and _mode(args, kwargs) != 'loss':
            return None
        calls, maps = self._tap.calls, self._maps
        try:
            if failed or not model.training:
                return None
            if self.clean_forward:
                self._tap.open()
                model.extract_feat(_argument(args, kwargs, 0, 'inputs'))
                calls = self._tap.calls
        finally:
            self._release()
        losses = _with_total(losses)
        losses.update(self._distil(self._pick(calls), maps, model))
        if not self._is_checked:
            check_unused_parameters(model if self._wrapper is None else self._wrapper, losses)
            self._is_checked = True
        return losses

    def _pick(self, calls: list[BackboneCall]) -> BackboneCall:
        """Choose the call of the backbone to distil."""
        if self.view is None and len(calls) == 1:
            return calls[0]
        if self.view is not None and -len(calls) <= self.view < len(calls):
            return calls[self.view]
        if not calls:
            raise ValueError('the model computed its losses without calling its backbone with gradient, so there '
                             'is nothing to distil into')
        if self.view is None:
            raise ValueError(f'the model called its backbone {len(calls)} times in one forward; set `view` of '
                             f'DistillationPretrainer to the call whose input the anomaly maps belong to (0 to '
                             f'{len(calls) - 1})')
        raise ValueError(f'view {self.view} does not exist: the model called its backbone {len(calls)} time(s)')

    def _distil(self, call: BackboneCall, maps: list[Tensor], model: nn.Module) -> dict[str, Tensor]:
        """Compute losses and agreement of one batch."""
        features = as_levels(call.outputs)
        name = type(model.backbone).__name__
        indices = resolve_levels(self.levels, len(features), name)
        _check_gradient(features, indices, name)
        stacked = stack_maps(maps, call.size, features[0].device)
        _check_number(call.num_images, len(stacked), name)
        added = {}
        for index in indices:
            activation = activation_map(features[index])
            # mmdet's TridentResNet returns its branches behind one another in the batch.
            branches = len(activation) // len(stacked)
            anomaly, valid = (one.repeat(branches, 1, 1, 1)
                              for one in resize_map(stacked, activation.shape[-2:]))
            with torch.autocast(activation.device.type, enabled=False):
                loss = self._weight * self.loss(activation, anomaly, valid)
            added[f'loss_anomaly_s{index}'] = loss
            added[f'agreement_s{index}'] = mean_agreement(activation, anomaly, valid)
        _check_finite(added)
        if not self._has_warned and not valid.any():
            self._has_warned = True
            print_log('no map of this batch has a value in [0, 1], so all of it counts as "no image here" and nothing '
                      'is distilled; are the maps calibrated?', logger='current', level=logging.WARNING)
        return added

    def _release(self) -> None:
        """Take all forward hooks off and let go of the batch."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._maps = [], []
        if self._tap is not None:
            self._tap.close()


def _weight_range(weight: float | Sequence[float]) -> tuple[float, float]:
    pair = tuple(weight) if isinstance(weight, Sequence) and not isinstance(weight, str) else (weight, weight)
    if len(pair) != 2 or not all(isinstance(one, (int, float)) and one >= 0 for one in pair) or not any(pair):
        raise ValueError(f'weight must be a number > 0, or a pair (start, end) of numbers >= 0, got {weight!r}')
    return pair


def _unwrap(model: Any) -> nn.Module:
    return model.module if is_model_wrapper(model) else model


def _argument(args: tuple, kwargs: dict, position: int, name: str) -> Any:
    return args[position] if len(args) > position else kwargs.get(name)


def _mode(args: tuple, kwargs: dict) -> str:
    return _argument(args, kwargs, 2, 'mode') or 'tensor'


def _with_total(losses: Any) -> dict:
    """Copy the losses of the model; its own `loss` would hide the total of the same name in the log."""
    if not isinstance(losses, dict):
        raise ValueError(f"the model must return a dict of losses in mode 'loss', got a {type(losses).__name__}")
    return {'loss_task' if name == 'loss' else name: value for name, value in losses.items()}


def _check_number(num_images: int, num_maps: int, backbone: str) -> None:
    if num_images != num_maps:
        raise ValueError(f'{backbone} was called with {num_images} images, but the batch carries {num_maps} anomaly '
                         'maps; a model that joins several views in one call needs clean_forward=True')


def _check_gradient(features: Sequence[Tensor], indices: Sequence[int], backbone: str) -> None:
    frozen = [index for index in indices if not features[index].requires_grad]
    if frozen:
        raise ValueError(f'level(s) {frozen} of {backbone} need no gradient: everything up to there is frozen, so '
                         'there is nothing to distil into. Unfreeze the backbone (frozen_stages, FreezeHook) or '
                         'choose later `levels`')


def _check_finite(added: dict[str, Tensor]) -> None:
    bad = [name for name, value in added.items() if 'loss' in name and not torch.isfinite(value)]
    if bad:
        raise ValueError(f'{", ".join(bad)} is not finite: the features of the backbone hold NaN or infinity. Lower '
                         'the learning rate, clip the gradients (optim_wrapper.clip_grad), or train without AMP')
