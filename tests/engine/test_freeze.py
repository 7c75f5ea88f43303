import copy

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.hooks import Hook
from mmengine.structures import InstanceData
from torch.utils.data import Dataset

from agssp_mm.engine.freeze import FreezeHook

SIZE = 64
RESNET = dict(type='mmdet.ResNet', depth=18, base_channels=4, norm_eval=False, frozen_stages=-1)
RETINANET = dict(
    type='mmdet.RetinaNet', data_preprocessor=dict(type='mmdet.DetDataPreprocessor'), backbone=RESNET,
    neck=dict(type='mmdet.FPN', in_channels=[4, 8, 16, 32], out_channels=8, num_outs=4),
    bbox_head=dict(
        type='mmdet.RetinaHead', num_classes=1, in_channels=8, stacked_convs=1, feat_channels=8,
        anchor_generator=dict(type='mmdet.AnchorGenerator', octave_base_scale=4, scales_per_octave=1, ratios=[1.0],
                              strides=[4, 8, 16, 32]),
        bbox_coder=dict(type='mmdet.DeltaXYWHBBoxCoder'), loss_cls=dict(type='mmdet.FocalLoss'),
        loss_bbox=dict(type='mmdet.L1Loss')),
    train_cfg=dict(assigner=dict(type='mmdet.MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0),
                   allowed_border=-1, pos_weight=-1, sampler=dict(type='mmdet.PseudoSampler')),
    test_cfg=dict(nms_pre=10, score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=5))


class Boxes(Dataset):
    """64x64 noise with one box in the middle."""

    metainfo = dict(classes=('anomaly',))

    def __len__(self):
        return 4

    def __getitem__(self, index):
        from mmdet.structures import DetDataSample
        sample = DetDataSample(metainfo=dict(img_shape=(SIZE, SIZE), ori_shape=(SIZE, SIZE), scale_factor=(1, 1)))
        sample.gt_instances = InstanceData(bboxes=torch.tensor([[16.0, 16.0, 48.0, 48.0]]),
                                           labels=torch.zeros(1).long())
        return dict(inputs=torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(index)),
                    data_samples=sample)


class ModeRecord(Hook):
    """Keeps whether the modules were in training mode when a batch was run."""

    priority = 'LOWEST'

    def __init__(self):
        self.modes = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.modes.append((runner.model.backbone.bn1.training, runner.model.bbox_head.training))


def train_detector(make_runner, toys, hooks, **more):
    loader = toys.loader(Boxes(), batch_size=2)
    loader['collate_fn'] = dict(type='pseudo_collate')
    adam = dict(optimizer=dict(type='AdamW', lr=0.01, weight_decay=0.1))
    runner = make_runner(ConfigDict(copy.deepcopy(RETINANET)), hooks, loader, default_scope='mmdet',
                         optim_wrapper=adam, **more)
    before = copy.deepcopy(runner.model.state_dict())
    # MMEngine starts by initialising; the frozen part would differ from `before` by that alone.
    for module in runner.model.modules():
        module._is_init = True
    runner.train()
    return before, runner


def changed(before, after):
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


@pytest.mark.parametrize('average', [[], [dict(type='EMAHook', momentum=0.1)],
                                     [dict(type='EMAHook', momentum=0.1, update_buffers=True)]])
def test_a_frozen_backbone_is_bit_identical_in_every_file(make_runner, toys, average):
    record = ModeRecord()
    hooks = [dict(type='FreezeHook'), dict(type='DetectorExportHook'), record, *average]
    before, runner = train_detector(make_runner, toys, hooks)
    for after in (runner.model.state_dict(),
                  torch.load(f'{runner.work_dir}/detector.pth', weights_only=True)['state_dict']):
        moved = changed(before, after)
        assert not {name for name in moved if name.startswith('backbone.')}
        assert {'neck.lateral_convs.0.conv.weight', 'bbox_head.retina_cls.weight'} <= moved
    assert record.modes == [(False, True)] * 4


def test_without_the_hook_weights_and_statistics_move(make_runner, toys):
    before, runner = train_detector(make_runner, toys, [])
    moved = changed(before, runner.model.state_dict())
    assert {'backbone.conv1.weight', 'backbone.bn1.running_mean', 'backbone.bn1.num_batches_tracked'} <= moved


def test_validation_between_epochs_does_not_unfreeze(make_runner, toys):
    loader = toys.loader(Boxes(), batch_size=2)
    loader['collate_fn'] = dict(type='pseudo_collate')
    before, runner = train_detector(make_runner, toys, [dict(type='FreezeHook')], val_dataloader=loader, val_cfg=dict(),
                                    val_evaluator=[], train_cfg=dict(by_epoch=False, max_iters=4, val_interval=1))
    assert not {name for name in changed(before, runner.model.state_dict()) if name.startswith('backbone.')}


def test_parts_are_named_with_dots(make_runner, toys):
    before, runner = train_detector(make_runner, toys, [dict(type='FreezeHook', modules=('backbone.layer1', 'neck'))])
    moved = changed(before, runner.model.state_dict())
    assert not {name for name in moved if name.startswith(('backbone.layer1.', 'neck.'))}
    assert {'backbone.layer2.0.conv1.weight', 'backbone.bn1.running_mean'} <= moved


@pytest.mark.parametrize('name, message', [
    ('bckbone', "no module 'bckbone'; BackbonePretrainer has: data_preprocessor, backbone"),
    ('backbone.layer9', "no module 'backbone.layer9'; backbone has: stages"),
    ('backbone.stages.7', 'backbone.stages has: 0, 1, 2'),
])
def test_an_unknown_module_lists_the_known_ones(make_runner, name, message):
    with pytest.raises(ValueError, match=message):
        make_runner(hooks=[dict(type='FreezeHook', modules=(name,))]).train()


def test_one_name_may_come_bare_but_none_is_refused():
    assert FreezeHook('neck').modules == ('neck',)
    with pytest.raises(ValueError, match='needs the names'):
        FreezeHook(())


def test_norms_only_leaves_the_rest_in_training_mode(make_runner, toys):
    record = ModeRecord()
    whole = BackboneModes()
    before, runner = train_detector(make_runner, toys, [dict(type='FreezeHook', norms_only=True), record, whole])
    moved = changed(before, runner.model.state_dict())
    assert not {name for name in moved if name.startswith('backbone.')}
    assert record.modes == [(False, True)] * 4
    assert whole.modes == [True] * 4


class BackboneModes(ModeRecord):
    """Keeps whether the backbone as a whole was in training mode."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.modes.append(runner.model.backbone.layer4.training)
