"""Refusing pipelines that move an image and leave its anomaly map where it was."""
from collections.abc import Mapping
from typing import Any

from .walk import walk

#: Geometric transforms that know nothing of ``gt_seg_map`` and keep the size of the image, or may.
LEAVE_MAPS_BEHIND = {
    'mmdet': ('Mosaic', 'CachedMosaic', 'MixUp', 'CachedMixUp', 'RandomAffine', 'RandomShift', 'CopyPaste',
              'Albu'),
    'mmpretrain': ('RandomResizedCrop', 'EfficientNetRandomCrop', 'RandomCrop', 'RandAugment', 'AutoAugment', 'Rotate',
                   'Shear', 'Translate', 'Albumentations', 'ResizeEdge', 'EfficientNetCenterCrop',
                   'MAERandomResizedCrop', 'RandomResizedCropAndInterpolationWithTwoPic', 'RandomTranslatePad',
                   'MultiView', *(f'torchvision/{name}' for name in (
                       'AugMix', 'AutoAugment', 'CenterCrop', 'ElasticTransform', 'FiveCrop', 'Pad', 'RandAugment',
                       'RandomAffine', 'RandomCrop', 'RandomHorizontalFlip', 'RandomPerspective', 'RandomResizedCrop',
                       'RandomRotation', 'RandomVerticalFlip', 'Resize', 'TenCrop', 'TrivialAugmentWide'))),
    'mmyolo': ('Albu', 'Mosaic', 'Mosaic9', 'YOLOv5MixUp', 'YOLOXMixUp', 'YOLOv5RandomAffine', 'YOLOv5CopyPaste')}


def check_maps_move(cfg: Mapping[str, Any]) -> None:
    """Refuse a config whose images would move without their maps, which no later check can see.

    Args:
        cfg: Of the run; pipelines that hooks switch to are looked at too.

    Raises:
        ValueError: With the transforms.
    """
    scope = cfg.get('default_scope')
    names = [_name(part['type'], scope) for part in walk([cfg.get('train_dataloader'), cfg.get('custom_hooks')])
             if 'type' in part]
    if not any(name == 'AnomalyMapGenerator' for _, name in names):
        return
    found = dict.fromkeys(name for library, name in names if name in LEAVE_MAPS_BEHIND.get(library, ()))
    mixed = [_name(part['type'], scope)[1] for preprocessing in walk(cfg.get('model')) if preprocessing.get('augments')
             for part in walk(preprocessing['augments']) if 'type' in part]
    if mixed:
        raise ValueError(f'the model mixes images within a batch ({", ".join(mixed)} in `augments`), and would leave '
                         'their anomaly maps as they are; take out `augments`')
    if found:
        raise ValueError(f'the pipeline has {", ".join(found)}, which would move the images and leave the anomaly maps '
                         'where they are; take out what moves images, or use RandomFlip, Resize, RandomResize and '
                         "mmdet's RandomCrop, which carry gt_seg_map along")


def _name(kind: Any, scope: str | None) -> tuple[str, str]:
    """Library and class of ``mmdet.Mosaic``, of ``Mosaic`` in the scope mmdet, of its class and of its whole path."""
    path = f'{kind.__module__}.{kind.__name__}' if isinstance(kind, type) else str(kind)
    if '.' not in path:
        return str(scope), path
    return path.split('.', 1)[0], path.rsplit('.', 1)[-1]
