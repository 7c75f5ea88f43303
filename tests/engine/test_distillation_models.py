"""The hook on real models of mmdet and mmpretrain, small."""
import copy

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import MODELS
from mmengine.structures import InstanceData, PixelData
from torch.utils.data import Dataset

from agssp_mm.models.activation import activation_map, resize_map
from agssp_mm.models.backbone_pretrainer import BackbonePretrainer
from agssp_mm.models.losses import cosine_map_loss

SIZE = 64


class Squares(Dataset):
    """64x64 BGR noise with a bright 32x32 square, its map, and a pipeline that packs both."""

    metainfo = dict(classes=('anomaly',))

    def __init__(self, pack, num_images=4):
        generator = np.random.default_rng(0)
        self.images = generator.integers(60, 120, (num_images, SIZE, SIZE, 3), dtype=np.uint8)
        self.maps = np.zeros((num_images, SIZE, SIZE), np.float32)
        self.corners = 32 * generator.integers(0, 2, (num_images, 2))
        for image, one, (top, left) in zip(self.images, self.maps, self.corners):
            image[top:top + 32, left:left + 32] += 100
            one[top:top + 32, left:left + 32] = 0.9
        self.pack = pack

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        top, left = self.corners[index].tolist()
        return self.pack(self.images[index], self.maps[index], [left, top, left + 32, top + 32])


def pack_for_mmdet(image, one, box):
    from mmdet.structures import DetDataSample
    sample = DetDataSample(metainfo=dict(img_shape=(SIZE, SIZE), ori_shape=(SIZE, SIZE), scale_factor=(1, 1)))
    sample.gt_sem_seg = PixelData(sem_seg=torch.from_numpy(one[None].copy()))
    sample.gt_instances = InstanceData(bboxes=torch.tensor([box], dtype=torch.float32), labels=torch.zeros(1).long())
    return dict(inputs=torch.from_numpy(image.transpose(2, 0, 1).copy()), data_samples=sample)


def pack_for_mmpretrain(image, one, box):
    from mmpretrain.datasets import PackInputs
    results = dict(img=image, gt_seg_map=one, gt_label=0, img_shape=(SIZE, SIZE))
    return PackInputs(algorithm_keys=['gt_seg_map']).transform(results)


def pack_for_simmim(image, one, box):
    from mmpretrain.datasets import PackInputs, SimMIMMaskGenerator
    results = SimMIMMaskGenerator(input_size=SIZE, mask_patch_size=32, model_patch_size=4).transform(
        dict(img=image, gt_seg_map=one))
    return PackInputs(algorithm_keys=['gt_seg_map']).transform(results)


RESNET = dict(type='mmdet.ResNet', depth=18, base_channels=4, norm_eval=False)
NORMALISE = dict(mean=[110.0] * 3, std=[32.0] * 3)
RETINANET = dict(
    type='mmdet.RetinaNet', data_preprocessor=dict(type='mmdet.DetDataPreprocessor', pad_seg=True, **NORMALISE),
    backbone=RESNET, neck=dict(type='mmdet.FPN', in_channels=[4, 8, 16, 32], out_channels=8, num_outs=4),
    bbox_head=dict(
        type='mmdet.RetinaHead', num_classes=1, in_channels=8, stacked_convs=1, feat_channels=8,
        anchor_generator=dict(type='mmdet.AnchorGenerator', octave_base_scale=4, scales_per_octave=1, ratios=[1.0],
                              strides=[4, 8, 16, 32]),
        bbox_coder=dict(type='mmdet.DeltaXYWHBBoxCoder'), loss_cls=dict(type='mmdet.FocalLoss'),
        loss_bbox=dict(type='mmdet.L1Loss')),
    train_cfg=dict(assigner=dict(type='mmdet.MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0),
                   allowed_border=-1, pos_weight=-1, sampler=dict(type='mmdet.PseudoSampler')))
CLASSIFIER = dict(
    type='mmpretrain.ImageClassifier', data_preprocessor=NORMALISE,
    backbone=dict(type='mmpretrain.ResNet', depth=18, stem_channels=4, base_channels=4, out_indices=(1, 2, 3)),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
    head=dict(type='mmpretrain.LinearClsHead', num_classes=2, in_channels=32))
SIMMIM = dict(
    type='mmpretrain.SimMIM', data_preprocessor=NORMALISE,
    backbone=dict(type='mmpretrain.SimMIMSwinTransformer', img_size=SIZE, drop_path_rate=0.0,
                  arch=dict(embed_dims=4, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1]), out_indices=(3,),
                  stage_cfgs=dict(block_cfgs=dict(window_size=2))),
    neck=dict(type='mmpretrain.SimMIMLinearDecoder', in_channels=32, encoder_stride=32),
    head=dict(type='mmpretrain.SimMIMHead', patch_size=4,
              loss=dict(type='mmpretrain.PixelReconstructionLoss', criterion='L1', channel=3)))


class Record(Hook):
    """Keeps what each iteration logged."""

    def __init__(self):
        self.outputs = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.outputs.append({name: value.item() for name, value in outputs.items()})


def train(make_runner, toys, model, pack, collate='pseudo_collate', **settings):
    """Two iterations on the same four images without learning; returns the first log, the runner and the data."""
    record, data = Record(), Squares(pack)
    loader = toys.loader(data)
    loader['collate_fn'] = dict(type=collate)
    scope = model['type'].split('.')[0] if '.' in model['type'] else 'mmdet'
    # Copied: the frameworks complete configs in place.
    hooks = [dict(type='DistillationPretrainer', **settings), record]
    runner = make_runner(copy.deepcopy(model), hooks, loader, lr=0.0, default_scope=scope)
    runner.train()
    return record.outputs[0], runner, data


def wanted_loss(model, data, level):
    """The loss of a level by the pure functions, with the model's own normalisation."""
    from mmpretrain.models import SimMIM
    images = (torch.from_numpy(data.images).permute(0, 3, 1, 2).float() - 110) / 32
    more = (None,) if isinstance(model, SimMIM) else ()
    feature = model.train().backbone(images, *more)[level]
    return cosine_map_loss(activation_map(feature), *resize_map(torch.from_numpy(data.maps[:, None]),
                                                                tuple(feature.shape[-2:]))).item()


def test_backbone_only(make_runner, toys):
    model = dict(type='BackbonePretrainer', backbone=RESNET, data_preprocessor=NORMALISE)
    log, runner, data = train(make_runner, toys, model, pack_for_mmdet, levels=(1, 2))
    assert set(log) == {'loss', 'loss_anomaly_s1', 'agreement_s1', 'loss_anomaly_s2', 'agreement_s2'}
    assert log['loss_anomaly_s2'] == pytest.approx(wanted_loss(runner.model, data, 2), abs=1e-4)


def test_a_detector_trains_jointly(make_runner, toys):
    log, runner, data = train(make_runner, toys, RETINANET, pack_for_mmdet, levels=(-2,))
    assert set(log) == {'loss', 'loss_cls', 'loss_bbox', 'loss_anomaly_s2', 'agreement_s2'}
    assert log['loss'] == pytest.approx(log['loss_cls'] + log['loss_bbox'] + log['loss_anomaly_s2'], rel=1e-5)
    assert log['loss_anomaly_s2'] == pytest.approx(wanted_loss(runner.model, data, 2), abs=1e-4)


def test_a_classifier_with_maps_in_its_data_samples(make_runner, toys):
    log, runner, data = train(make_runner, toys, CLASSIFIER, pack_for_mmpretrain)
    assert set(log) == {'loss', 'loss_task', 'loss_anomaly_s1', 'agreement_s1', 'loss_anomaly_s2', 'agreement_s2'}
    assert log['loss'] == pytest.approx(log['loss_task'] + log['loss_anomaly_s1'] + log['loss_anomaly_s2'], rel=1e-5)
    assert log['loss_anomaly_s1'] == pytest.approx(wanted_loss(runner.model, data, 1), abs=1e-4)


def test_simmim_distils_the_unmasked_image(make_runner, toys):
    log, runner, data = train(make_runner, toys, SIMMIM, pack_for_simmim, 'default_collate', levels=(-1,),
                              clean_forward=True)
    assert set(log) == {'loss', 'loss_task', 'loss_anomaly_s0', 'agreement_s0'}
    assert log['loss_anomaly_s0'] == pytest.approx(wanted_loss(runner.model, data, 0), abs=1e-4)
    masked, *_ = train(make_runner, toys, SIMMIM, pack_for_simmim, 'default_collate', levels=(-1,))
    assert masked['loss_anomaly_s0'] != pytest.approx(log['loss_anomaly_s0'], abs=1e-4)


def test_padded_images_with_padded_maps(make_runner, toys):
    """The preprocessor pads to 96; what the maps then hold there counts for nothing."""
    def preprocessor(**more):
        return dict(type='mmdet.DetDataPreprocessor', pad_size_divisor=96, **NORMALISE, **more)

    model = dict(type='BackbonePretrainer', backbone=RESNET, data_preprocessor=preprocessor(pad_seg=True))
    log, *_ = train(make_runner, toys, model, pack_for_mmdet, levels=(2,))
    other = dict(model, data_preprocessor=preprocessor(pad_seg=True, seg_pad_value=-1))
    assert log == train(make_runner, toys, other, pack_for_mmdet, levels=(2,))[0]
    zeros = dict(model, data_preprocessor=preprocessor(pad_seg=True, seg_pad_value=0))
    assert log != train(make_runner, toys, zeros, pack_for_mmdet, levels=(2,))[0]
    forgotten = dict(model, data_preprocessor=preprocessor(pad_seg=False))
    with pytest.raises(ValueError, match='map of sample 0 is 64x64, but the network input is 96x96.*pad_seg=True'):
        train(make_runner, toys, forgotten, pack_for_mmdet, levels=(2,))


def test_exported_backbone_starts_a_detector(make_runner, toys):
    model = dict(type='BackbonePretrainer', backbone=RESNET, data_preprocessor=NORMALISE)
    _, runner, _ = train(make_runner, toys, model, pack_for_mmdet)
    backbone = dict(RESNET, init_cfg=dict(type='Pretrained', checkpoint=f'{runner.work_dir}/backbone.pth',
                                          prefix='backbone.'))
    detector = MODELS.build(copy.deepcopy(dict(RETINANET, backbone=backbone)))
    detector.init_weights()
    for name, value in runner.model.backbone.state_dict().items():
        assert torch.equal(detector.backbone.state_dict()[name], value)


def test_every_branch_of_a_backbone_is_compared_with_the_maps(make_runner, toys):
    backbone = dict(type='mmdet.TridentResNet', trident_dilations=(1, 2, 3), num_branch=3, test_branch_idx=1, depth=50,
                    base_channels=4, num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2, ),
                    norm_eval=True, init_cfg=dict(type='Kaiming', layer=['Conv2d', 'TridentConv']))
    model = dict(type='BackbonePretrainer', backbone=backbone, data_preprocessor=NORMALISE)
    log, runner, data = train(make_runner, toys, model, pack_for_mmdet, levels=(-1,))
    images = (torch.from_numpy(data.images).permute(0, 3, 1, 2).float() - 110) / 32
    feature, = runner.model.train().backbone(images)
    maps, valid = resize_map(torch.from_numpy(data.maps[:, None]), tuple(feature.shape[-2:]))
    branches = [cosine_map_loss(activation_map(one), maps, valid).item() for one in feature.chunk(3)]
    assert log['loss_anomaly_s0'] == pytest.approx(sum(branches) / 3, abs=1e-4)


@MODELS.register_module()
class _JoinedViews(BackbonePretrainer):
    """Hands two views of every image to its backbone in one call."""

    def forward(self, inputs, data_samples=None, mode='tensor'):
        self.backbone(torch.cat([inputs, inputs]))
        return {}


def test_views_that_are_joined_in_one_call_are_refused(make_runner, toys):
    model = dict(type='_JoinedViews', backbone=RESNET, data_preprocessor=NORMALISE)
    with pytest.raises(ValueError, match='ResNet was called with 8 images, but the batch carries 4 anomaly maps'):
        train(make_runner, toys, model, pack_for_mmdet)
