"""The three stages, derived from real configs of MMDetection, built small, and trained for a step."""
import dataclasses
import os

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import TASK_UTILS
from mmengine.runner import load_checkpoint

from agssp_mm.datasets.synthetic import make_dataset
from agssp_mm.engine.resume import find_checkpoint
from agssp_mm.engine.train import train_config
from agssp_mm.images import list_images
from agssp_mm.maps.generate import generate_maps
from agssp_mm.recipes import (InputNeeds, derive_agbp, derive_agdp, derive_finetune, find_input_needs, inspect_backbone,
                              read_detector, write_config)
from agssp_mm.recipes.building import build
from agssp_mm.recipes.labels import read_classes

CLASSES = ('crazing', 'inclusion', 'patches', 'pitted surface', 'rolled-in scale', 'scratches')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Four made images of 64 x 64 with defects, and their maps."""
    folder = tmp_path_factory.mktemp('made')
    make_dataset(folder, num_images=4, size=64, seed=3, clean_share=0.0)
    generate_maps(list_images(folder / 'images'), TASK_UTILS.build(dict(type='TextureTeacher')), folder / 'maps')
    return folder


def stages_of(config, settings, needs=None):
    detector = read_detector(config, downloads=False)
    needs = needs or find_input_needs(detector, settings.image_size)
    return detector, dict(agbp=derive_agbp(detector, settings, needs=needs),
                          agdp=derive_agdp(detector, settings, needs=needs),
                          finetune=derive_finetune(detector, settings, needs=needs))


@pytest.fixture
def pretrain(data, settings, tmp_path):
    """Run both stages of a config as written to files; returns the exported tensors and the three configs."""
    def run(config, **more):
        # two images, one step: the steps are what is tested, not what they learn
        chosen = settings(images=str(data / 'images'), store=str(data / 'maps'), classes=CLASSES, **more)
        detector, configs = stages_of(config, chosen)
        (tmp_path / 'out').mkdir()
        for stage, one in configs.items():
            one.default_hooks.checkpoint = None
            write_config(one, tmp_path / 'out' / f'{stage}.py', [f'{stage} of {detector.name}'])
        train_config(tmp_path / 'out' / 'agbp.py')
        os.replace(tmp_path / 'out' / 'agbp' / 'backbone.pth', tmp_path / 'out' / 'backbone.pth')
        train_config(tmp_path / 'out' / 'agdp.py')
        path = tmp_path / 'out' / 'agdp' / 'detector.pth'
        return path, configs
    return run


def assert_loads(path, model, allowed):
    """Every tensor arrives bit by bit in a model whose tensors were all others; only the allowed ones may not fit."""
    exported = torch.load(path, weights_only=True)['state_dict']
    built = build(model, 'mmdet')
    with torch.no_grad():
        for tensor in built.state_dict().values():
            tensor.add_(1)
    load_checkpoint(built, str(path), map_location='cpu', logger='silent')
    left = {name for name, value in built.state_dict().items()
            if not (name in exported and torch.equal(exported[name], value))}
    assert left == set(allowed)
    assert set(exported) == set(built.state_dict())


TWO_STAGE = {f'roi_head.bbox_head.fc_cls.{one}' for one in ('weight', 'bias')} | {
    f'roi_head.bbox_head.fc_reg.{one}' for one in ('weight', 'bias')}
SMALL_ROI = dict(fc_out_channels=8, in_channels=256)
KINDS = {
    'one-stage with anchors': ('retinanet/retinanet_r18_fpn_1x_coco.py', {}, {
        f'bbox_head.retina_cls.{one}' for one in ('weight', 'bias')}),
    'one-stage without anchors': ('rtmdet/rtmdet_tiny_8xb32-300e_coco.py', {}, {
        f'bbox_head.rtm_cls.{level}.{one}' for level in range(3) for one in ('weight', 'bias')}),
    'two-stage': ('faster_rcnn/faster-rcnn_r18_fpn_8xb8-amp-lsj-200e_coco.py',
                  dict(roi_head=dict(bbox_head=SMALL_ROI)), TWO_STAGE),
    'mask head': ('mask_rcnn/mask-rcnn_r18_fpn_8xb8-amp-lsj-200e_coco.py',
                  dict(roi_head=dict(bbox_head=SMALL_ROI, mask_head=dict(num_convs=1))),
                  TWO_STAGE | {f'roi_head.mask_head.conv_logits.{one}' for one in ('weight', 'bias')}),
    'transformer': ('detr/detr_r18_8xb2-500e_coco.py',
                    dict(num_queries=10, encoder=dict(num_layers=1), decoder=dict(num_layers=1)),
                    {f'bbox_head.fc_cls.{one}' for one in ('weight', 'bias')}),
}


@pytest.mark.parametrize('kind', KINDS)
def test_kinds_of_detectors(kind, shrunk, pretrain):
    name, model, class_dependent = KINDS[kind]
    config = shrunk(name, **model)
    path, configs = pretrain(config)
    original = config.model.to_dict() | dict(backbone=config.model.backbone | dict(init_cfg=None))
    assert_loads(path, original, class_dependent)
    assert_loads(path, configs['finetune'].model.to_dict(), class_dependent)


def test_a_cascade(shrunk, pretrain):
    config = shrunk('cascade_rcnn/cascade-rcnn_r18_fpn_8xb8-amp-lsj-200e_coco.py')
    for head in config.model.roi_head.bbox_head:
        head.fc_out_channels = 8
    path, configs = pretrain(config)
    heads = {f'roi_head.bbox_head.{stage}.fc_cls.{one}' for stage in range(3) for one in ('weight', 'bias')}
    assert_loads(path, configs['finetune'].model.to_dict(), heads)


def test_sparse_heads(shrunk, pretrain):
    config = shrunk('sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py', rpn_head=dict(num_proposals=10))
    config.model.roi_head.update(num_stages=2, stage_loss_weights=[1, 1], bbox_head=config.model.roi_head.bbox_head[:2])
    for head in config.model.roi_head.bbox_head:
        head.update(feedforward_channels=8, dynamic_conv_cfg=dict(head.dynamic_conv_cfg, feat_channels=4))
    config.model.train_cfg.rcnn = config.model.train_cfg.rcnn[:2]
    path, configs = pretrain(config)
    heads = {f'roi_head.bbox_head.{stage}.fc_cls.{one}' for stage in range(2) for one in ('weight', 'bias')}
    assert_loads(path, configs['finetune'].model.to_dict(), heads)


def test_stage_one_of_a_config_with_weights(shrunk, settings, tmp_path):
    weights = tmp_path / 'resnet.pth'
    config = shrunk('retinanet/retinanet_r18_fpn_1x_coco.py')
    torch.save(build(config.model.backbone.to_dict(), 'mmdet').state_dict(), weights)
    config.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(weights))
    _, stages = stages_of(config, settings(held_out=1))
    agbp = stages['agbp']
    assert agbp.model.type == 'BackbonePretrainer'
    assert agbp.model.backbone.frozen_stages == 2
    assert agbp.model.backbone.init_cfg == dict(type='Pretrained', checkpoint=str(weights))
    assert agbp.model.data_preprocessor == dict(
        type='DetDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True,
        pad_size_divisor=32, pad_seg=True)
    assert agbp.custom_hooks[-1] == dict(type='DistillationPretrainer', levels=(-2, -1))
    assert (agbp.train_dataloader.batch_size, agbp.train_dataloader.dataset.held_out) == (3, 1)
    assert agbp.val_dataloader.dataset.test_mode
    assert stages_of(config, settings(start='none'))[1]['agbp'].model.backbone.init_cfg is None
    # stage 2 and the fine-tuning take what stage 1 made
    assert [stages[stage].model.backbone.init_cfg for stage in ('agdp', 'finetune')] == [None, None]
    assert stages['agdp'].load_from == str(tmp_path / 'out' / 'backbone.pth')
    assert stages['finetune'].load_from == str(tmp_path / 'out' / 'detector.pth')


@pytest.mark.slow
def test_the_fine_tuning_keeps_the_checkpoint_that_measured_best(shrunk, settings, data, tmp_path):
    labels = data / 'annotations' / 'train.json'
    detector = read_detector(shrunk('retinanet/retinanet_r18_fpn_1x_coco.py'), downloads=False)
    finetune = derive_finetune(detector, settings(
        classes=read_classes(labels), finetune_epochs=2, train_annotations=str(labels), val_annotations=str(labels),
        annotated_images=str(data / 'images')))
    finetune.load_from, finetune.model.test_cfg.score_thr = None, 0.0  # a beginner is sure of nothing
    write_config(finetune, tmp_path / 'finetune.py', [])
    train_config(tmp_path / 'finetune.py')
    work_dir = tmp_path / 'out' / 'finetune'
    assert len(list(work_dir.glob('best_coco_bbox_mAP_epoch_*.pth'))) == 1
    assert find_checkpoint(work_dir).name == 'epoch_2.pth'  # an interrupted one goes on from the last


def test_a_backbone_that_draws_its_numbers_has_no_weights_to_keep(shrunk, settings):
    config = shrunk('retinanet/retinanet_r18_fpn_1x_coco.py')
    config.model.backbone.init_cfg = dict(type='Kaiming', layer='Conv2d')
    agbp = stages_of(config, settings())[1]['agbp']
    assert agbp.model.backbone.frozen_stages == -1
    assert agbp.model.backbone.init_cfg == dict(type='Kaiming', layer='Conv2d')


@pytest.fixture
def with_weights(shrunk, tmp_path):
    (tmp_path / 'weights.pth').touch()  # what can be reached counts
    config = shrunk('retinanet/retinanet_r18_fpn_1x_coco.py')
    config.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'weights.pth'))
    return config


def test_passes_over_many_images_take_several_epochs(shrunk, settings):
    config = shrunk('yolox/yolox_s_8xb8-300e_coco.py')
    few = stages_of(config, settings(num_images=20_000, agbp_epochs=2, agdp_epochs=3))[1]
    many = stages_of(config, settings(num_images=100_000, held_out=60, agbp_epochs=2, agdp_epochs=3))[1]
    for stage, epochs in dict(agbp=2, agdp=3).items():
        assert few[stage].train_dataloader.sampler == dict(type='DefaultSampler', shuffle=True)
        assert few[stage].train_cfg.max_epochs == epochs
        assert many[stage].train_dataloader.sampler == dict(type='SplitEpochSampler', parts=5, shuffle=True)
        assert many[stage].train_cfg.max_epochs == 5 * epochs == many[stage].param_scheduler[-1].T_max
    assert many['agbp'].train_cfg.val_interval == 10
    assert many['agbp'].val_dataloader.sampler == dict(type='DefaultSampler', shuffle=False)
    last = {stage: next(hook.num_last_epochs for hook in configs['agdp'].custom_hooks if 'num_last_epochs' in hook)
            for stage, configs in dict(few=few, many=many).items()}
    assert last == dict(few=1, many=1)  # of 300 the last 15
    assert many['finetune'].train_dataloader.sampler == few['finetune'].train_dataloader.sampler


@pytest.mark.parametrize('agbp_epochs', [0, 1])
@pytest.mark.parametrize('start', ['imagenet', 'none'])  # the shrunk one names no weights itself
def test_without_weights_nothing_rests_in_any_stage(shrunk, settings, start, agbp_epochs):
    given = settings(start=start, agbp_epochs=agbp_epochs)
    for name, stage in stages_of(shrunk('retinanet/retinanet_r18_fpn_1x_coco.py'), given)[1].items():
        assert stage.model.backbone.frozen_stages == -1 and not stage.model.backbone.norm_eval
        assert (dict(type='NormEvalHook') in stage.custom_hooks) == (name == 'finetune')
    given = settings(start=start, freeze_backbone=True)
    stages = stages_of(shrunk('retinanet/retinanet_r18_fpn_1x_coco.py'), given)[1]
    assert stages['agdp'].model.backbone.frozen_stages == 4


def test_the_backbone_learns_in_stage_two_but_for_the_statistics_of_its_weights(with_weights, settings):
    _, stages = stages_of(with_weights, settings())
    for name in ('agdp', 'finetune'):
        assert stages[name].model.backbone.frozen_stages == 1
        assert dict(type='NormEvalHook') in stages[name].custom_hooks
    assert not stages['agdp'].find_unused_parameters
    _, stages = stages_of(with_weights, settings(start='none'))
    assert dict(type='NormEvalHook') not in stages['agdp'].custom_hooks
    _, stages = stages_of(with_weights, settings(freeze_backbone=True))
    assert dict(type='NormEvalHook') not in stages['agdp'].custom_hooks
    assert stages['finetune'].model.backbone.frozen_stages == 1


def test_a_backbone_without_batch_statistics_has_none_to_keep(shrunk, settings):
    config = shrunk('retinanet/retinanet_r18_fpn_1x_coco.py')
    config.model.backbone.norm_cfg = dict(type='GN', num_groups=2)
    for stage in stages_of(config, settings())[1].values():
        assert dict(type='NormEvalHook') not in stage.custom_hooks


def test_a_backbone_without_frozen_stages_is_frozen_by_a_hook(shrunk, settings):
    config = shrunk('retinanet/retinanet_r18_fpn_1x_coco.py')
    config.model.backbone = dict(type='HRNet', extra=dict(
        stage1=dict(num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(1, ), num_channels=(1, )),
        **{f'stage{number}': dict(num_modules=1, num_branches=number, block='BASIC', num_blocks=(1, ) * number,
                                  num_channels=(4, 8, 16, 32)[:number]) for number in (2, 3, 4)}))
    _, stages = stages_of(config, settings(freeze_backbone=True))
    assert dict(type='FreezeHook', modules=('backbone', )) in stages['agdp'].custom_hooks
    assert stages['agdp'].find_unused_parameters
    assert dict(type='FreezeHook', modules=('backbone', )) not in stages['finetune'].custom_hooks


def test_several_processes_look_out_for_what_freezes_after_they_were_joined(shrunk, settings):
    config = shrunk('rtmdet/rtmdet_tiny_8xb32-300e_coco.py')
    for given, expected in ((settings(), False), (settings(freeze_backbone=True), True)):
        agdp = stages_of(config, given)[1]['agdp']
        assert (agdp.model.backbone.get('frozen_stages') == 4, agdp.find_unused_parameters) == (expected, expected)
    config.model.backbone.frozen_stages = 1
    assert stages_of(config, settings(start='coco.pth'))[1]['finetune'].find_unused_parameters


def test_several_processes_do_not_checkpoint_activations_in_stage_one(shrunk, settings):
    config = shrunk('retinanet/retinanet_r18_fpn_1x_coco.py')
    config.model.backbone.with_cp = True
    assert [stages_of(config, settings(devices=number))[1]['agbp'].model.backbone.with_cp for number in (1, 2)] == [
        True, False]


def test_a_start_from_a_whole_detector(shrunk, settings):
    _, stages = stages_of(shrunk('retinanet/retinanet_r18_fpn_1x_coco.py'), settings(start='coco.pth'))
    assert stages['agbp'].load_from == 'coco.pth'
    assert stages['agbp'].model.backbone.frozen_stages == 2
    # no init_cfg of the whole model: DETR and its kin draw numbers over what that loads
    assert stages['agdp'].load_from == 'coco.pth' and 'init_cfg' not in stages['agdp'].model
    trained = os.path.join(settings().out, 'backbone.pth')
    assert dict(type='BackboneStartHook', checkpoint=trained) in stages['agdp'].custom_hooks
    assert not stages['agdp'].find_unused_parameters
    _, stages = stages_of(shrunk('retinanet/retinanet_r18_fpn_1x_coco.py'), settings(start='r18.pth', bare_start=True))
    assert stages['agbp'].load_from == 'r18.pth' and stages['agbp'].model.backbone.frozen_stages == 2
    assert stages['agbp'].custom_hooks[0] == dict(type='BackboneStartHook')
    assert stages['agdp'].load_from == trained
    assert not any(hook.type == 'BackboneStartHook' for hook in stages['agdp'].custom_hooks)


def test_a_transformer_keeps_the_rest_of_its_start(shrunk, pretrain, tmp_path):
    name, model, _ = KINDS['transformer']
    config = shrunk(name, **model)
    started = build(config.model.to_dict(), 'mmdet').state_dict()
    torch.save(started, tmp_path / 'start.pth')
    path, _ = pretrain(config, start=str(tmp_path / 'start.pth'), agdp_lr=1e-9)
    ended = torch.load(path, weights_only=True)['state_dict']
    moved = {name for name, value in ended.items() if value.shape == started[name].shape
             and not torch.allclose(value, started[name].to(value), atol=1e-6)}
    assert {name.split('.')[0] for name in moved} == {'backbone'}  # by stage 1


@pytest.mark.parametrize('renames', [False, True])
def test_a_bare_backbone_of_a_class_that_loads_by_itself(shrunk, pretrain, tmp_path, renames):
    config = shrunk('retinanet/retinanet_r18_fpn_1x_coco.py')
    config.model.backbone = dict(type='SwinTransformer', embed_dims=4, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1],
                                 window_size=2, convert_weights=renames)
    config.model.neck.update(in_channels=[4, 8, 16, 32])
    started = build(config.model.backbone.to_dict(), 'mmdet').state_dict()
    torch.save(started, tmp_path / 'swin.pth')
    path, configs = pretrain(config, start=str(tmp_path / 'swin.pth'), bare_start=True, agbp_lr=1e-9, agdp_lr=1e-9)
    ended = torch.load(path, weights_only=True)['state_dict']
    assert configs['agbp'].model.backbone.frozen_stages > 0
    assert all(torch.allclose(value.float(), ended[f'backbone.{name}'].float(), atol=1e-6)
               for name, value in started.items())


def test_initial_weights_of_the_whole_detector_are_a_start_or_left_out(shrunk, settings):
    config = shrunk('retinanet/retinanet_r18_fpn_1x_coco.py')
    pretrained = dict(type='Pretrained', checkpoint=__file__)
    config.model.update(init_cfg=pretrained)
    config.model.bbox_head.init_cfg = [dict(type='Normal', layer='Conv2d', std=0.01), pretrained]
    for start in ('imagenet', 'none', 'coco.pth'):
        for agbp_epochs in (0, 1):
            stages = stages_of(config, settings(start=start, agbp_epochs=agbp_epochs))[1]
            for stage in ('agdp', 'finetune'):
                assert stages[stage].model.init_cfg is None
                own = stages[stage].model.bbox_head.init_cfg
                assert [one.type for one in own] == (['Normal', 'Pretrained'] if start == 'imagenet' else ['Normal'])


@pytest.mark.parametrize('name', ['names', 'names.lst', 'names.txt'])
def test_the_root_of_a_list_is_its_folder_whatever_its_ending(shrunk, settings, tmp_path, name):
    (tmp_path / name).write_text('a.png')
    agbp = stages_of(shrunk('retinanet/retinanet_r18_fpn_1x_coco.py'), settings(images=str(tmp_path / name)))[1]['agbp']
    assert agbp.train_dataloader.dataset.pipeline[1].image_root == str(tmp_path)


def test_without_stage_one_stage_two_starts_from_what_stage_one_would(shrunk, settings, tmp_path):
    config = shrunk('retinanet/retinanet_r18_fpn_1x_coco.py')
    alone = stages_of(config, settings(agbp_epochs=0))[1]['agdp']
    assert alone.load_from is None
    assert dict(type='NormEvalHook') not in alone.custom_hooks  # there are no statistics to keep
    weights = tmp_path / 'resnet.pth'
    torch.save(build(config.model.backbone.to_dict(), 'mmdet').state_dict(), weights)
    initial = config.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(weights))
    alone = stages_of(config, settings(agbp_epochs=0))[1]['agdp']
    assert alone.model.backbone.init_cfg == initial
    assert dict(type='NormEvalHook') in alone.custom_hooks
    alone = stages_of(config, settings(agbp_epochs=0, start='none'))[1]['agdp']
    assert (alone.load_from, alone.model.backbone.init_cfg) == (None, None)
    assert dict(type='NormEvalHook') not in alone.custom_hooks
    assert (alone.model.backbone.frozen_stages, alone.model.backbone.norm_eval) == (-1, False)  # nothing to keep
    alone = stages_of(config, settings(agbp_epochs=0, start='coco.pth'))[1]['agdp']
    assert (alone.load_from, alone.model.backbone.init_cfg) == ('coco.pth', None)
    assert 'init_cfg' not in alone.model
    alone = stages_of(config, settings(agbp_epochs=0, start='r18.pth', bare_start=True))[1]['agdp']
    assert (alone.load_from, alone.model.backbone.init_cfg) == ('r18.pth', None)
    assert dict(type='BackboneStartHook') in alone.custom_hooks


@pytest.mark.parametrize('start', ['none', 'r18.pth'])
def test_weights_named_the_old_way_give_way_to_the_start(shrunk, settings, start):
    config = shrunk('retinanet/retinanet_r18_fpn_1x_coco.py')
    config.model.backbone.pop('init_cfg')
    config.model.backbone.pretrained = 'torchvision://resnet18'
    detector = read_detector(config, downloads=True)
    agbp = derive_agbp(detector, settings(start=start, bare_start=start != 'none'), needs=InputNeeds(32))
    assert agbp.model.backbone.pretrained is None
    assert agbp.model.backbone.init_cfg is None
    assert agbp.get('load_from') == (None if start == 'none' else start)
    assert agbp.model.backbone.frozen_stages == (-1 if start == 'none' else 2)


@pytest.mark.parametrize('num_images, batch_size, dropped', [(9, 9, False), (17, 16, False), (40, 16, True)])
def test_a_small_set_keeps_its_last_batch_in_stage_one(shrunk, settings, num_images, batch_size, dropped):
    detector = read_detector(shrunk('retinanet/retinanet_r18_fpn_1x_coco.py'), downloads=False)
    agbp = derive_agbp(detector, settings(num_images=num_images, batch_size=16), needs=InputNeeds(32))
    assert (agbp.train_dataloader.batch_size, agbp.train_dataloader.drop_last) == (batch_size, dropped)


def test_imports_given_as_one_name(shrunk, settings):
    config = shrunk('retinanet/retinanet_r18_fpn_1x_coco.py')
    config.custom_imports = dict(imports='json.tool')
    for stage in stages_of(config, settings())[1].values():
        assert stage.custom_imports.imports == ['json.tool', 'agssp_mm']


def test_yolox_keeps_its_switch_and_average_but_not_its_sizes(shrunk, settings):
    _, stages = stages_of(shrunk('yolox/yolox_nano_8xb8-300e_coco.py'), settings(agdp_epochs=40))
    agdp = stages['agdp']
    assert agdp.model.data_preprocessor.batch_augments is None
    assert agdp.train_dataloader.dataset.type == 'MultiImageMixDataset'
    assert agdp.train_dataloader.dataset.dataset.type == 'PseudoBoxDataset'
    hooks = {hook.type: hook for hook in agdp.custom_hooks}
    assert hooks['YOLOXModeSwitchHook'].num_last_epochs == 2
    assert hooks['EMAHook'].gamma == 8


def test_a_small_labelled_set_shortens_warm_up_and_averages_of_the_fine_tuning(shrunk, settings):
    config = shrunk('rtmdet/rtmdet_tiny_8xb32-300e_coco.py')
    detector, needs = read_detector(config, downloads=False), InputNeeds(32)
    stage = derive_finetune(detector, settings(num_labelled=6, finetune_epochs=10, batch_size=8), needs=needs)
    # two batches an epoch, twenty steps
    assert (stage.train_dataloader.batch_size, stage.param_scheduler[0].end) == (4, 2)
    assert next(hook for hook in stage.custom_hooks if hook.type == 'EMAHook').gamma == 2
    stage = derive_finetune(detector, settings(num_labelled=3, batch_size=8), needs=needs)
    assert stage.train_dataloader.batch_size == 3


def test_masks_go_with_the_boxes(shrunk, settings):
    _, stages = stages_of(shrunk('mask_rcnn/mask-rcnn_r18_fpn_8xb8-amp-lsj-200e_coco.py'), settings())
    dataset = stages['agdp'].train_dataloader.dataset
    assert dataset.with_mask
    assert dataset.pipeline[1] == dict(type='LoadAnnotations', with_bbox=True, with_mask=True, poly2mask=True)
    assert stages['finetune'].val_evaluator.metric == ['bbox', 'segm']
    _, stages = stages_of(shrunk('retinanet/retinanet_r18_fpn_1x_coco.py'), settings())
    assert not stages['agdp'].train_dataloader.dataset.with_mask
    assert stages['finetune'].val_evaluator.metric == 'bbox'


def test_made_defects_are_pasted_unless_the_settings_say_no(shrunk, settings):
    config = shrunk('mask_rcnn/mask-rcnn_r18_fpn_8xb8-amp-lsj-200e_coco.py')

    def steps(stage):
        return [step.type for step in stage.train_dataloader.dataset.pipeline]

    _, stages = stages_of(config, settings())
    at = steps(stages['agdp']).index('PasteDefects')
    # what is cropped away afterwards would leave boxes of parts; the light changes over all defects alike
    assert steps(stages['agdp']).index('RandomCrop') < at < steps(stages['agdp']).index('PhotoMetricDistortion')
    assert 'PasteDefects' not in steps(stages['finetune'])
    _, stages = stages_of(config, settings(paste_defects=False))
    assert 'PasteDefects' not in steps(stages['agdp'])


def test_fine_tuning_crops_and_keeps_images_without_a_box_where_there_are_any(shrunk, settings):
    config = shrunk('retinanet/retinanet_r18_fpn_1x_coco.py')
    for sound in (False, True):
        _, stages = stages_of(config, settings(with_sound_images=sound))
        resize, crop = stages['finetune'].train_dataloader.dataset.pipeline[2:4]
        assert resize.ratio_range == (1.0, 1.5)
        assert crop.type == 'RandomCrop'
        assert crop.crop_size == resize.scale
        assert crop.get('allow_negative_crop', False) == sound
        assert 'RandomCrop' not in [step.type for step in stages['finetune'].test_dataloader.dataset.pipeline]


def test_proposals_for_a_detector_without(shrunk, settings):
    config = shrunk('fast_rcnn/fast-rcnn_r50_fpn_1x_coco.py')
    detector, stages = stages_of(config, settings())
    assert [step.type for step in stages['agdp'].train_dataloader.dataset.pipeline[-2:]] == ['PseudoProposals',
                                                                                           'PackDetInputs']
    assert 'LoadProposals' in detector.notes[-1]


def test_names_of_classes_for_a_detector_with_a_language_model(shrunk, settings):
    detector = read_detector(shrunk('grounding_dino/grounding_dino_r50_scratch_8xb2_1x_coco.py'), downloads=False)
    needs = InputNeeds(32)
    agdp = derive_agdp(detector, settings(), needs=needs)
    finetune = derive_finetune(detector, settings(classes=CLASSES), needs=needs)
    for dataset in (agdp.train_dataloader.dataset, finetune.train_dataloader.dataset, finetune.test_dataloader.dataset):
        assert dataset.return_classes
        assert dataset.pipeline[-1].meta_keys[-2:] == ('text', 'custom_entities')
    _, stages = stages_of(shrunk('retinanet/retinanet_r18_fpn_1x_coco.py'), settings())
    assert 'return_classes' not in stages['agdp'].train_dataloader.dataset
    assert stages['agdp'].train_dataloader.dataset.pipeline[-1] == dict(type='PackDetInputs')


def test_a_branched_backbone_is_frozen_without_losing_its_branches(shrunk, settings):
    detector = read_detector(shrunk('retinanet/retinanet_r18_fpn_1x_coco.py'), downloads=False)
    facts = dataclasses.replace(inspect_backbone(detector), all_frozen=None, is_branched=True)
    agdp = derive_agdp(detector, settings(freeze_backbone=True), facts, InputNeeds(32))
    assert dict(type='FreezeHook', modules=('backbone', ), norms_only=True) in agdp.custom_hooks


def test_files_load_on_their_own_and_say_what_they_are(shrunk, settings, tmp_path):
    _, stages = stages_of(shrunk('retinanet/retinanet_r18_fpn_1x_coco.py'), settings(classes=CLASSES))
    path = tmp_path / 'finetune.py'
    write_config(stages['finetune'], path, ['what this is'])
    assert path.read_text().startswith('# what this is\n')
    found = Config.fromfile(path)
    assert found.to_dict() == stages['finetune'].to_dict()
    assert found.custom_imports == dict(imports=['agssp_mm'], allow_failed_imports=False)
    assert found.model.bbox_head.num_classes == 6
    assert found.train_dataloader.dataset.metainfo.classes == CLASSES


def test_names_with_line_breaks_stay_comments(tmp_path):
    write_config(Config(dict(found=1)), tmp_path / 'agdp.py', ["too small: 'a\nfound = 2  #'"])
    assert (tmp_path / 'agdp.py').read_text().startswith("# too small: 'a\n# found = 2  #'\n")
    assert Config.fromfile(tmp_path / 'agdp.py').found == 1


@pytest.mark.parametrize('setting, message', [
    (dict(agbp_epochs=-1), 'agbp_epochs must be at least 0, got -1'),
    (dict(image_size=16), 'image_size must be at least 32'),
    (dict(agdp_lr=-1.0), 'agdp_lr must be > 0'),
    (dict(classes='anomaly'), 'classes must be one or more names'),
])
def test_bad_settings(settings, setting, message):
    with pytest.raises(ValueError, match=message):
        settings(**setting)
