from pathlib import Path

import pytest
from mmdet.datasets.transforms import CachedMosaic
from mmengine.config import Config
from mmpretrain.datasets.transforms import RandomCrop

from agssp_mm.engine.moved_maps import check_maps_move

CONFIGS = Path(__file__).parents[2] / 'configs' / 'agssp'


def config(*transforms, hooks=(), scope='mmdet', maps=True):
    first = [dict(type='AnomalyMapGenerator', store='s', image_root='i')] if maps else []
    dataset = dict(type='PseudoBoxDataset', pipeline=[*first, *transforms])
    return dict(default_scope=scope, train_dataloader=dict(dataset=dict(type='MultiImageMixDataset', dataset=dataset)),
                custom_hooks=list(hooks))


@pytest.mark.parametrize('changes, named', [
    (dict(transforms=[dict(type='Mosaic')]), 'Mosaic'),
    (dict(transforms=[dict(type='mmdet.RandomAffine')]), 'RandomAffine'),
    (dict(transforms=[dict(type='Albu', transforms=[dict(type='ShiftScaleRotate')])]), 'Albu'),
    (dict(transforms=[dict(type='Albumentations', transforms=[])], scope='mmpretrain'), 'Albumentations'),
    (dict(transforms=[dict(type=CachedMosaic)]), 'CachedMosaic'),
    (dict(transforms=[dict(type='RandomApply', transforms=[dict(type='MixUp')])]), 'MixUp'),
    (dict(hooks=[dict(type='PipelineSwitchHook', switch_pipeline=[dict(type='RandomShift')])]), 'RandomShift'),
    (dict(transforms=[dict(type='RandomCrop')], scope='mmpretrain'), 'RandomCrop'),
    (dict(transforms=[dict(type=RandomCrop)]), 'RandomCrop'),
    (dict(transforms=[dict(type='mmdet.datasets.transforms.transforms.Mosaic')]), 'Mosaic'),
    (dict(transforms=[dict(type='mmpretrain.RandomResizedCrop')]), 'RandomResizedCrop'),
    (dict(transforms=[dict(type='ResizeEdge', scale=64)], scope='mmpretrain'), 'ResizeEdge'),
    (dict(transforms=[dict(type='MultiView', num_views=1, transforms=[])], scope='mmpretrain'), 'MultiView'),
    (dict(transforms=[dict(type='torchvision/RandomHorizontalFlip')], scope='mmpretrain'),
     'torchvision/RandomHorizontalFlip'),
    (dict(transforms=[dict(type='mmpretrain.torchvision/RandomRotation', degrees=9)]), 'torchvision/RandomRotation'),
    (dict(transforms=[dict(type='YOLOv5RandomAffine')], scope='mmyolo'), 'YOLOv5RandomAffine'),
    (dict(transforms=[dict(type='RandomFlip'), dict(type='Mosaic'), dict(type='MixUp')]), 'Mosaic, MixUp')])
def test_transforms_that_leave_the_map_behind(changes, named):
    transforms = changes.pop('transforms', ())
    with pytest.raises(ValueError, match=f'the pipeline has {named}, which would move the images and leave'):
        check_maps_move(config(*transforms, **changes))


def test_what_carries_maps_along_or_has_none_is_let_through():
    check_maps_move(config(dict(type='RandomFlip'), dict(type='RandomCrop'), dict(type='RandomResize')))
    check_maps_move(config(dict(type='Mosaic'), maps=False))
    check_maps_move(config(dict(type='mylab.RandomAffine'), dict(type='mmdet.Rotate')))  # one's own; a careful one
    check_maps_move({})


def test_the_configs_of_stage_one_pass():
    checked = 0
    for path in sorted(set(CONFIGS.rglob('*_agbp*.py')) - set(CONFIGS.rglob('yolov8*'))):  # these need MMYOLO
        check_maps_move(Config.fromfile(path))
        checked += 1
    assert checked >= 5


def test_models_that_mix_images_within_a_batch_are_refused():
    model = dict(type='ImageClassifier', train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix')]))
    with pytest.raises(ValueError, match='mixes images within a batch .Mixup, CutMix in `augments`.*take out'):
        check_maps_move(dict(config(dict(type='RandomFlip')), model=model))
    check_maps_move(dict(config(dict(type='RandomFlip'), maps=False), model=model))
