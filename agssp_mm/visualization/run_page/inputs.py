"""Single images as a model of a config sees them, without augmentation."""
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from .work_folder import pseudo_box_dataset

_KEPT = ('LoadImageFromFile', 'LoadIndustrialImage', 'Resize', 'Pad')
_META = ('img_path', 'img_id', 'ori_shape', 'img_shape', 'scale_factor')


def plain_pipeline(config: Config) -> list[dict[str, Any]]:
    """Loading, resizing and padding of a stage's training pipeline, and nothing random.

    Raises:
        ValueError: If the config has no pipeline.
    """
    dataset = pseudo_box_dataset(config.get('train_dataloader') or {})
    if not dataset or not dataset.get('pipeline'):
        raise ValueError('its config has no PseudoBoxDataset with a pipeline')
    steps = []
    for step in dataset['pipeline']:
        kind = str(step['type']).rsplit('.', 1)[-1]
        if kind in _KEPT:
            steps.append(dict(step))
        elif kind == 'RandomResize':
            steps.append(dict(type='Resize', scale=step['scale'], keep_ratio=True))
    return [*steps, dict(type='PackDetInputs', meta_keys=_META)]


def make_batch(pipeline: Sequence[dict[str, Any]], path: Path, scope: str) -> dict[str, Any]:
    """One image through a pipeline, as a batch of one."""
    with DefaultScope.overwrite_default_scope(scope):
        return pseudo_collate([Compose(list(pipeline))(dict(img_path=str(path), img_id=0, instances=[]))])


def load_image(pipeline: Sequence[dict[str, Any]], path: Path, scope: str = 'mmdet') -> np.ndarray:
    """One image as the pipeline reads it, before resizing: (H, W, 3) uint8 BGR."""
    with DefaultScope.overwrite_default_scope(scope):
        return Compose(list(pipeline[:1]))(dict(img_path=str(path), img_id=0, instances=[]))['img']


def model_input(model: nn.Module, pipeline: Sequence[dict[str, Any]], path: Path,
                scope: str = 'mmdet') -> tuple[Tensor, tuple[int, int], np.ndarray]:
    """What the network gets for one image.

    Returns:
        The input (1, 3, H, W), the (height, width) of the image inside it, and that image, (h, w, 3) uint8 BGR.
    """
    batch = make_batch(pipeline, path, scope)
    image = batch['inputs'][0].numpy().transpose(1, 2, 0)
    shape = tuple(batch['data_samples'][0].img_shape[:2])
    batch = model.data_preprocessor(batch, False)
    return batch['inputs'], shape, np.ascontiguousarray(image[:shape[0], :shape[1]].astype(np.uint8))
