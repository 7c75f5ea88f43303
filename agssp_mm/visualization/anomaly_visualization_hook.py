"""The hook that sends sample pictures of a training to MMEngine's Visualizer."""
from collections.abc import Sequence
from inspect import signature
from typing import Any

import numpy as np
import torch
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from mmengine.visualization import MLflowVisBackend
from torch import Tensor, nn

from .overlays import draw_boxes
from .sample_pictures import input_picture, sample_pictures

_MOST_BOXES = 10  # more hide the image


@HOOKS.register_module()
class AnomalyVisualizationHook(Hook):
    """Shows, every so often, what the model is fed and what it finds there.

    Pictures go to the runner's visualizer, hence to whatever its ``vis_backends`` name: files, TensorBoard, W&B,
    MLflow. They are called ``train_map_<i>`` (anomaly map over the augmented image), ``train_boxes_<i>`` (the boxes
    trained on) and ``train_predictions_<i>`` (what a detector of MMDetection finds in the same image); where MLflow is
    among them, the step and ``.png`` follow. The training
    itself is not changed: predictions draw no random number and touch no statistics. Switch it on in any config by
    ``default_hooks=dict(pictures=dict(type='AnomalyVisualizationHook'))``.

    Args:
        interval: Steps between two looks; the first step is always looked at.
        num_images: Images of the batch to show, at most.
        score_threshold: Least score of a prediction that is drawn, in [0, 1]; at most ten are.
        predict: Whether to show predictions.

    Raises:
        ValueError: If a setting does not fit.
    """

    priority = 'LOW'

    def __init__(self, interval: int = 200, num_images: int = 2, score_threshold: float = 0.3,
                 predict: bool = True) -> None:
        if interval < 1 or num_images < 1:
            raise ValueError(f'interval and num_images must be at least 1, got {interval} and {num_images}')
        if not 0 <= score_threshold <= 1:
            raise ValueError(f'score_threshold must lie in [0, 1], got {score_threshold}')
        self.interval, self.num_images = interval, num_images
        self.score_threshold, self.predict = score_threshold, predict

    @master_only
    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Show maps and boxes before the model takes them off the data samples."""
        if runner.iter % self.interval:
            return
        for number, (inputs, sample) in enumerate(_first(data_batch, self.num_images)):
            for name, picture in sample_pictures(inputs, sample).items():
                _send(runner, f'train_{name}_{number}', picture)

    @master_only
    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Show what a detector finds in the same images."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        shown = _first(data_batch, self.num_images)
        if not self.predict or runner.iter % self.interval or not shown or 'gt_instances' not in shown[0][1]:
            return
        if not _is_detector(model):
            return
        samples = [sample.clone() for _, sample in shown]
        for number, ((inputs, _), found) in enumerate(zip(shown, _predict(model, [one for one, _ in shown], samples))):
            best = found.pred_instances[found.pred_instances.scores.argsort(descending=True)[:_MOST_BOXES]].cpu()
            kept = best[best.scores >= self.score_threshold]
            texts = [f'{score:.2f}' for score in kept.scores.tolist()]
            picture = draw_boxes(input_picture(inputs), kept.bboxes.numpy(), 'detection', texts)
            _send(runner, f'train_predictions_{number}', picture)


def _is_detector(model: nn.Module) -> bool:
    """Whether the model predicts as MMDetection's detectors do; that of stage 1 predicts how well maps agree."""
    predict = getattr(model, 'predict', None)
    return hasattr(model, 'data_preprocessor') and callable(predict) and 'rescale' in signature(predict).parameters


def _first(batch: Any, number: int) -> list[tuple[Tensor, Any]]:
    """Inputs and data samples of the first images of a batch; nothing where it has another form."""
    if not isinstance(batch, dict) or not isinstance(batch.get('data_samples'), Sequence):
        return []
    inputs, samples = batch.get('inputs', ()), batch['data_samples']
    if isinstance(inputs, Sequence) and inputs and isinstance(inputs[0], Sequence):
        inputs = inputs[0]  # the first view
    return [(one, sample) for one, sample in list(zip(inputs, samples))[:number]
            if isinstance(one, Tensor) and one.ndim == 3 and one.shape[0] in (1, 3)]


def _predict(model: nn.Module, inputs: list[Tensor], samples: list[Any]) -> list[Any]:
    """Predictions in pixels of the inputs; every module is left in the mode that it was in."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            batch = model.data_preprocessor(dict(inputs=inputs, data_samples=samples), False)
            return model.predict(batch['inputs'], batch['data_samples'], rescale=False)
    finally:
        for module, mode in modes.items():
            module.training = mode


def _send(runner: Runner, name: str, picture: np.ndarray) -> None:
    # MLflow keeps files: it knows the type by the ending of the name, and MMEngine gives it no step.
    if any(isinstance(backend, MLflowVisBackend) for backend in runner.visualizer._vis_backends.values()):
        name = f'{name}_{runner.iter}.png'
    runner.visualizer.add_image(name, np.ascontiguousarray(picture[..., ::-1]), runner.iter)
