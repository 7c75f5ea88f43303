"""Where a batch carries its anomaly maps."""
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

_ADVICE = ("put AnomalyMapGenerator into the pipeline right after image loading, and pack its map with mmdet's "
           "PackDetInputs or mmpretrain's PackInputs(algorithm_keys=['gt_seg_map'])")


def take_maps(data_samples: Sequence[BaseDataElement] | None, view: int | None = None) -> list[Tensor]:
    """Take the anomaly maps off the data samples of a batch.

    They are removed, so that a head that reads `gt_sem_seg` itself never sees an anomaly map.

    Args:
        data_samples: One per image; the map is in `gt_sem_seg.sem_seg`, (1, H, W) (mmdet), or in `gt_seg_map`,
            (H, W), array or tensor, or a list of one per view (mmpretrain).
        view: Which view's map to take where there is one per view; a single map belongs to whatever view is asked for.

    Returns:
        One (H, W) floating tensor per image, on whatever device it was.

    Raises:
        ValueError: If a sample has no map, holds something else there, or has several and `view` picks none of them.
    """
    if not data_samples:
        raise ValueError(f'the batch has no data samples, so no anomaly maps either; {_ADVICE}')
    return [_take_map(sample, index, view) for index, sample in enumerate(data_samples)]


def stack_maps(maps: Sequence[Tensor], size: tuple[int, int], device: torch.device) -> Tensor:
    """Stack the anomaly maps of a batch on the device of the features.

    Args:
        maps: One (H, W) floating tensor per image.
        size: (height, width) of the network's input.
        device: Where the features are.

    Returns:
        Maps, (B, 1, H, W), float32.

    Raises:
        ValueError: If a map has another size than the input.
    """
    for index, one in enumerate(maps):
        if tuple(one.shape) != tuple(size):
            raise ValueError(
                f'the anomaly map of sample {index} is {one.shape[0]}x{one.shape[1]}, but the network input is '
                f'{size[0]}x{size[1]} (height x width). Either a transform or batch augmentation changed the '
                'image and forgot the map (RandomCenterCropPad, BatchSyncRandomResize, ...), or the '
                'images were padded and the maps not: set pad_seg=True, seg_pad_value=255 in the '
                'data_preprocessor, or crop all images to one size')
    return torch.stack([one.to(device, torch.float32, non_blocking=True) for one in maps]).unsqueeze(1)


def _take_map(sample: BaseDataElement, index: int, view: int | None) -> Tensor:
    if 'gt_sem_seg' in sample:
        value, name = sample.gt_sem_seg.sem_seg, 'gt_sem_seg.sem_seg'
        del sample.gt_sem_seg
    elif 'gt_seg_map' in sample:
        value, name = sample.pop('gt_seg_map'), 'gt_seg_map'
    else:
        raise ValueError(f'sample {index} of the batch carries no anomaly map (neither gt_sem_seg nor '
                         f'gt_seg_map); {_ADVICE}')
    if isinstance(value, (list, tuple)):
        value = _pick(value, index, view)
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(np.ascontiguousarray(value))  # a flip leaves negative strides behind
    if value.ndim == 3 and value.shape[0] == 1:
        value = value[0]
    if value.ndim != 2 or not value.is_floating_point():
        raise ValueError(f'{name} of sample {index} is no anomaly map: shape {tuple(value.shape)}, '
                         f'{value.dtype}, but (H, W) floating is needed; {_ADVICE}')
    return value


def _pick(maps: Sequence[np.ndarray | Tensor], index: int, view: int | None) -> np.ndarray | Tensor:
    """Choose the map of one view."""
    if view is None or not -len(maps) <= view < len(maps):
        raise ValueError(f'sample {index} carries {len(maps)} anomaly maps, one per view, and view={view} picks none '
                         f'of them; set `view` of DistillationPretrainer to the view to distil (0 to {len(maps) - 1})')
    return maps[view]
