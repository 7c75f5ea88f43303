"""AGBP and AGDP of real detectors in two processes under torchrun, against one that averages the same halves."""
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from agssp_mm.datasets.synthetic import make_dataset
from agssp_mm.images import list_images
from agssp_mm.maps.generate import generate_maps
from agssp_mm.teachers.texture import TextureTeacher

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow

# A rank takes every other image; these are the two halves of each of its batches of two, one after the other.
HALVES = textwrap.dedent('''
    from mmengine.registry import DATA_SAMPLERS
    from torch.utils.data import Sampler


    @DATA_SAMPLERS.register_module(force=True)
    class Halves(Sampler):
        def __init__(self, dataset, shuffle=False, seed=None):
            self.size = len(dataset)

        def __iter__(self):
            for start in range(0, self.size, 4):
                yield from (start, start + 2, start + 1, start + 3)

        def __len__(self):
            return self.size
''')
# Frozen norms and no random augmentation, so that a batch is no more than the sum of its images.
COMMON = textwrap.dedent('''
    _base_ = 'mmdet::_base_/default_runtime.py'
    custom_imports = dict(imports=['agssp_mm', 'halves'])
    randomness = dict(seed=0)
    backbone = dict(type='ResNet', depth=18, base_channels=8, norm_cfg=dict(type='BN', requires_grad=False),
                    norm_eval=True, zero_init_residual=False, out_indices=(1, 2, 3), frozen_stages={frozen})
    pipeline = [dict(type='LoadImageFromFile'), {load},
                dict(type='Resize', scale=(64, 64), keep_ratio=False), {pack}]
    train_dataloader = dict(
        batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(type='PseudoBoxDataset', images='data/images', store='maps', rule={rule}, pipeline=pipeline))
    train_cfg = dict(by_epoch=True, max_epochs=2)
    optim_wrapper = dict(optimizer=dict(type='SGD', lr={lr}, momentum=0.9))
    preprocessor = dict(type='DetDataPreprocessor', mean=[128.0] * 3, std=[64.0] * 3, pad_seg=True)
''')
MAPS = dict(type='AnomalyMapGenerator', store='maps', image_root='data/images')
AGBP = COMMON.format(frozen=1, lr=0.05, rule=None, pack=dict(type='PackDetInputs', meta_keys=('img_shape',)),
                     load=MAPS) + textwrap.dedent('''
    model = dict(type='BackbonePretrainer', backbone=backbone, data_preprocessor=preprocessor)
    custom_hooks = [dict(type='DistillationPretrainer', levels=(-2, -1))]
''')
AGDP = COMMON.format(frozen=4, lr=0.01, rule=dict(type='ComponentTreeBoxRule'), pack=dict(type='PackDetInputs'),
                     load=dict(type='LoadAnnotations', with_bbox=True)) + textwrap.dedent('''
    model = dict(
        type='RetinaNet', data_preprocessor=preprocessor, backbone=backbone,
        neck=dict(type='FPN', in_channels=[16, 32, 64], out_channels=8, num_outs=3),
        bbox_head=dict(
            type='RetinaHead', num_classes=1, in_channels=8, feat_channels=8, stacked_convs=1,
            anchor_generator=dict(type='AnchorGenerator', octave_base_scale=2, scales_per_octave=1, ratios=[1.0],
                                  strides=[8, 16, 32]),
            loss_cls=dict(type='FocalLoss', use_sigmoid=True), loss_bbox=dict(type='L1Loss')),
        train_cfg=dict(assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, ignore_iof_thr=-1),
                       allowed_border=-1, pos_weight=-1))
    custom_hooks = [dict(type='DetectorExportHook')]
''')
STAGES = {'agbp': (AGBP, 'backbone.pth'), 'agdp': (AGDP, 'detector.pth')}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('two')
    make_dataset(folder / 'data', 10, 64, num_val=2)
    (folder / 'data' / 'images' / '000009.png').unlink()
    (folder / 'data' / 'images' / '000008.png').unlink()
    generate_maps(list_images(folder / 'data' / 'images'), TextureTeacher(), folder / 'maps')
    (folder / 'halves.py').write_text(HALVES)
    return folder


def run(folder, *words):
    environment = dict(os.environ, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='', PYTHON=sys.executable,
                       PYTHONPATH=os.pathsep.join([str(folder), str(ROOT)]))
    done = subprocess.run(list(map(str, words)), cwd=folder, env=environment, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]


def written(path):
    content = torch.load(path, weights_only=True)
    return content['state_dict'], content['meta']['iter']


@pytest.mark.parametrize('stage', STAGES)
def test_two_processes_give_the_weights_of_one_that_averages_both_halves(folder, stage):
    config, name = STAGES[stage]
    (folder / f'{stage}.py').write_text(config)
    train = ROOT / 'tools' / 'train.py'
    run(folder, ROOT / 'tools' / 'dist_train.sh', f'{stage}.py', 2, '--work-dir', f'{stage}_two')
    run(folder, sys.executable, train, f'{stage}.py', '--work-dir', f'{stage}_one', '--cfg-options',
        'optim_wrapper.accumulative_counts=2', 'train_dataloader.sampler.type=Halves')
    run(folder, sys.executable, train, f'{stage}.py', '--work-dir', f'{stage}_start', '--cfg-options',
        'optim_wrapper.optimizer.lr=0.0', 'train_cfg.max_epochs=1')
    (two, steps), (one, half_steps), (start, _) = (
        written(folder / f'{stage}_{kind}' / name) for kind in ('two', 'one', 'start'))
    assert (steps, half_steps) == (4, 8)
    moved = {key for key, value in one.items() if not torch.allclose(value, start[key], atol=1e-5)}
    assert all(torch.allclose(two[key], value, atol=1e-6, rtol=1e-5) for key, value in one.items())
    # What the stage trains, and nothing else, has moved, by more than the two may differ.
    if stage == 'agbp':
        assert {'backbone.layer4.1.conv2.weight', 'backbone.layer2.0.conv1.weight'} <= moved
        assert not [key for key in moved if key.startswith(('backbone.conv1', 'backbone.layer1'))]
    else:
        assert {'neck.lateral_convs.0.conv.weight', 'bbox_head.retina_cls.weight'} <= moved
        assert not [key for key in moved if key.startswith('backbone.')]
