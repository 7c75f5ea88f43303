"""Refusing pipelines that move an image and leave its anomaly map where it was."""
from collections.abc import Iterator, Mapping
from typing import Any

#: Geometric transforms that know nothing of ``gt_seg_map`` and keep the size of the image, or may.
LEAVE_MAPS_BEHIND = frozenset((
    'Mosaic', 'CachedMosaic', 'MixUp', 'CachedMixUp', 'RandomAffine', 'RandomShift', 'CopyPaste',
    'RandomResizedCrop', 'EfficientNetRandomCrop',
    'mmpretrain.RandomCrop', 'mmpretrain.RandAugment', 'mmpretrain.AutoAugment', 'mmpretrain.Rotate',
    'mmpretrain.Shear', 'mmpretrain.Translate'))


def check_maps_move(cfg: Mapping[str, Any]) -> None:
    """Refuse a config whose images would move without their maps, which no later check can see.

    Args:
        cfg: Of the run; pipelines that hooks switch to are looked at too.

    Raises:
        ValueError: With the transforms.
    """
    scope = cfg.get('default_scope')
    names = [_name(kind) for part in (cfg.get('train_dataloader'), cfg.get('custom_hooks')) for kind in _types(part)]
    if not any(name.rsplit('.', 1)[-1] == 'AnomalyMapGenerator' for name in names):
        return
    scoped = [name if '.' in name else f'{scope}.{name}' for name in names]
    found = dict.fromkeys(name for name, full in zip(names, scoped, strict=True)
                          if {full, name.rsplit('.', 1)[-1]} & LEAVE_MAPS_BEHIND)
    if found:
        raise ValueError(f'the pipeline has {", ".join(found)}, which would move the images and leave the anomaly maps '
                         'where they are; take out what moves images, or use RandomFlip, Resize, RandomResize and '
                         "mmdet's RandomCrop, which carry gt_seg_map along")


def _types(part: Any) -> Iterator[Any]:
    if isinstance(part, Mapping):
        if 'type' in part:
            yield part['type']
        part = list(part.values())
    if isinstance(part, (list, tuple)):
        for one in part:
            yield from _types(one)


def _name(kind: Any) -> str:
    """``mmpretrain.RandomCrop`` for a class of MMPretrain as for its name."""
    if isinstance(kind, type):
        return f'{kind.__module__.split(".", 1)[0]}.{kind.__name__}'
    return str(kind)
