"""The configs of the paper's rows say what the paper says (arXiv 2509.18919 and its published code)."""
from ast import literal_eval
from functools import cache
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import HOOKS, MODELS, OPTIMIZERS, DefaultScope

import agssp_mm  # noqa: F401
from agssp_mm.recipes.backbone_facts import freezes_late

ROOT = Path(__file__).parents[2] / 'configs' / 'agssp'
PAPER = sorted(folder.name for folder in ROOT.iterdir() if folder.name.endswith(('_cls', '_mocov3', '_simmim')))
STAGES = [path.stem for name in PAPER for path in sorted((ROOT / name).glob('*.py'))]
YOLO = [name for name in PAPER if name.startswith('yolo')]
MEAN, STD = [110.2955, 113.433, 109.914], [32.028, 30.614, 30.27]
CSPDARKNET, RESNET, MOCO, SWIN, SIMMIM = (
    'yolox_cspdarknet_cls', 'yolox_r50_cls', 'yolox_r50_mocov3', 'yolox_swin-b_cls', 'yolox_swin-b_simmim')
FASTER, DINO = 'faster-rcnn_swin-b_simmim', 'dino_swin-b_simmim'
YOLOV8 = 'yolov8_cspdarknet_cls'
# Rows that go on from stage 1 of another one, which has the same backbone.
STAGE_1 = {FASTER: SIMMIM, DINO: SIMMIM, **{name.replace('yolox', 'yolov8'): name for name in (
    RESNET, MOCO, SWIN, SIMMIM)}}
YOLOV8_ROWS = [name for name in STAGE_1 if name in YOLO]


@pytest.fixture(autouse=True)
def no_data_root(monkeypatch):
    """The configs are tested as they are written."""
    monkeypatch.delenv('AGSSP_DATA_ROOT', raising=False)


@cache
def load(stem):
    # Those of YOLOv8 import MMYOLO, which hardly any environment has.
    return Config.fromfile(str(next(ROOT.glob(f'*/{stem}.py'))), import_custom_modules=False)


def hook(config, name):
    return next(one for one in config.custom_hooks if one.type == name)


def strings_of(node):
    """Every string value of a config."""
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list | tuple):
        return [found for value in node for found in strings_of(value)]
    return [node] if isinstance(node, str) else []


# model, optimizer, lr, weight decay, batch, epochs, frozen stages, levels, loss, its weight, crop, base of the crop
AGBP = {
    CSPDARKNET: ('ImageClassifier', 'SGD', 0.01, 1e-4, 1024, 200, 2, (-2, -1), 'CosineMapLoss', None, 224, 512),
    YOLOV8: ('ImageClassifier', 'SGD', 0.01, 1e-4, 1024, 200, 2, (-2, -1), 'CosineMapLoss', None, 224, 512),
    RESNET: ('ImageClassifier', 'SGD', 0.01, 1e-4, 1024, 200, 2, (-2, -1), 'CosineMapLoss', None, 224, 512),
    MOCO: ('MoCoV3', 'mmpretrain.LARS', 9.6, 1e-6, 512, 200, 2, (-1, ), 'CosineMapLoss', None, 224, 512),
    # mmdet's Swin counts the patch embedding as a stage, mmpretrain's does not: both freeze two stages.
    SWIN: ('BackbonePretrainer', 'AdamW', 6.25e-4, 0.05, 320, 200, 2, (-1, ), 'NormalizedL2MapLoss', 2.0, 224, 512),
    SIMMIM: ('SimMIM', 'AdamW', 8.75e-5, 0.05, 224, 200, 1, (-1, ), 'NormalizedL2MapLoss', 2.0, 192, 400),
}


@pytest.mark.parametrize('name', AGBP)
def test_agbp(name):
    (model, optimizer, lr, weight_decay, batch, epochs, frozen, levels, loss, weight, crop, scale) = AGBP[name]
    config = load(f'{name}_agbp')
    assert config.model.type == model and config.model.backbone.frozen_stages == frozen
    settings = config.optim_wrapper.optimizer
    assert (settings.type, settings.lr, settings.weight_decay) == (optimizer, pytest.approx(lr), weight_decay)
    assert config.train_dataloader.batch_size == batch and config.train_cfg.max_epochs == epochs
    distilled = hook(config, 'DistillationPretrainer')
    assert distilled.levels == levels and distilled.loss.type == loss and distilled.loss.get('weight') == weight
    if loss == 'CosineMapLoss':
        assert (distilled.loss.shift, distilled.loss.scale) == (2.0, 2.0)
    pipeline = config.train_dataloader.dataset.pipeline
    steps = {one.type: one for one in ([*pipeline, *pipeline[2].transforms[0]] if name == MOCO else pipeline)}
    assert steps['RandomResize'].scale == (scale, scale) and steps['RandomResize'].ratio_range == (0.5, 2.0)
    assert steps['RandomResize'].keep_ratio is False
    assert steps['RandomCrop'].crop_size == (crop, crop) and steps['RandomFlip'].prob == 0.5
    assert ('PhotoMetricDistortion' in steps) == (name in (CSPDARKNET, YOLOV8, RESNET, SWIN))
    assert config.randomness.seed == 2024
    assert config.default_hooks.checkpoint.interval == (20 if name == SIMMIM else 10)


@pytest.mark.parametrize('name, milestones, warmup', [
    (CSPDARKNET, [60, 90, 180], None), (YOLOV8, [60, 90, 180], None), (RESNET, [60, 90, 180], None),
    (MOCO, None, (10, 1e-4)), (SWIN, None, (20, 1e-3)), (SIMMIM, [80], (10, 5e-3))])
def test_agbp_schedules(name, milestones, warmup):
    *before, last = load(f'{name}_agbp').param_scheduler
    assert [(one.end, one.start_factor) for one in before] == ([warmup] if warmup else [])
    assert last.get('milestones') == milestones and last.get('begin', 0) == (warmup[0] if warmup else 0)
    if name in (MOCO, SWIN):
        assert last.type == 'CosineAnnealingLR' and last.begin + last.T_max == 200
    if name == SWIN:
        assert last.eta_min == 1e-5


def test_agbp_task_losses():
    for name, channels in ((CSPDARKNET, 512), (YOLOV8, 512), (RESNET, 2048)):
        head = load(f'{name}_agbp').model.head
        assert (head.num_classes, head.in_channels, head.loss.loss_weight) == (61, channels, 0.1)
    simmim, moco = (load(f'{name}_agbp') for name in (SIMMIM, MOCO))
    assert hook(simmim, 'DistillationPretrainer').clean_forward is True
    assert hook(moco, 'DistillationPretrainer').view == 0  # the first of two
    mask = next(one for one in simmim.train_pipeline if one.type.endswith('MaskGenerator'))
    assert (mask.input_size, mask.mask_patch_size, mask.model_patch_size, mask.mask_ratio) == (192, 32, 4, 0.6)
    assert simmim.model.backbone.stage_cfgs.block_cfgs.window_size == 6 and simmim.model.backbone.img_size == 192
    assert simmim.model.backbone.drop_path_rate == 0.1
    swin = load(f'{SWIN}_agbp').model.backbone
    assert (swin.window_size, swin.drop_path_rate) == (7, 0.5)


@pytest.mark.parametrize('name', [SWIN, SIMMIM])
def test_agbp_of_swin_decays_neither_norms_nor_biases_nor_position_tables(name):
    wrapper = load(f'{name}_agbp').optim_wrapper
    assert wrapper.optimizer.betas == (0.9, 0.999) and wrapper.clip_grad.max_norm == 5.0
    assert wrapper.paramwise_cfg.norm_decay_mult == wrapper.paramwise_cfg.bias_decay_mult == 0.0
    assert wrapper.paramwise_cfg.custom_keys['relative_position_bias_table'].decay_mult == 0.0


# optimizer, lr, weight decay, batch, of the YOLO rows and the two others
AGDP = {
    CSPDARKNET: ('SGD', 0.01, 1.5625e-3, 200), YOLOV8: ('SGD', 0.01, 1.5625e-3, 200),
    RESNET: ('SGD', 0.0025, 6.25e-4, 80), MOCO: ('SGD', 0.0025, 6.25e-4, 80),
    SWIN: ('SGD', 0.0025, 1e-3, 128), SIMMIM: ('SGD', 0.0025, 1e-3, 128),
    FASTER: ('SGD', 0.01, 1e-4, 128), DINO: ('AdamW', 1e-4, 1e-4, 12),
}
AGDP.update({name: AGDP[STAGE_1[name]] for name in YOLOV8_ROWS})


@pytest.mark.parametrize('name', AGDP)
def test_agdp(name):
    config, (optimizer, lr, weight_decay, batch) = load(f'{name}_agdp'), AGDP[name]
    settings = config.optim_wrapper.optimizer
    assert (settings.type, settings.lr, settings.weight_decay) == (optimizer, lr, pytest.approx(weight_decay))
    assert config.train_dataloader.batch_size == batch and config.train_cfg.max_epochs == 10
    assert config.model.backbone.frozen_stages == 4
    dataset = config.train_dataloader.dataset
    dataset = dataset.dataset if name in YOLO else dataset
    assert dataset.type == 'PseudoBoxDataset' and dataset.rule == dict(type='PaperBoxRule')
    assert dataset.filter_cfg == dict(filter_empty_gt=False, min_size=32)
    if 'r50' in name:
        assert config.model.backbone.norm_eval is True
    if 'swin' in name:
        assert config.model.backbone.drop_path_rate == 0.3


# lr, weight decay, batch, epochs on casting billet (and steel pipe), epochs on GC10, frozen stages
FINETUNE = {
    CSPDARKNET: (0.0025, 5e-4, 32, 500, 500, -1), YOLOV8: (0.0025, 5e-4, 32, 500, 500, -1),
    RESNET: (0.0025, 5e-4, 32, 500, 300, -1),
    MOCO: (0.0025, 5e-4, 32, 500, 300, -1), SWIN: (0.0025, 5e-4 * 70 / 64, 14, 500, 300, -1),
    SIMMIM: (0.0025, 5e-4 * 70 / 64, 14, 500, 300, -1), FASTER: (0.01, 1e-4, 12, 500, None, 2),
    DINO: (1e-4, 1e-4, 6, 500, None, 2),
}
FINETUNE.update({name: FINETUNE[STAGE_1[name]] for name in YOLOV8_ROWS})
TARGETS = {'': ('casting_billet', 6), '_steel-pipe': ('steel_pipe', 4), '_gc10': ('gc10', 10)}


@pytest.mark.parametrize('target', TARGETS)
@pytest.mark.parametrize('name', FINETUNE)
def test_finetune(name, target):
    lr, weight_decay, batch, epochs, epochs_gc10, frozen = FINETUNE[name]
    if target and name not in YOLO:
        assert not (ROOT / name / f'{name}_finetune{target}.py').exists()  # the paper has no such row
        return
    config = load(f'{name}_finetune{target}')
    settings = config.optim_wrapper.optimizer
    assert (settings.lr, settings.weight_decay) == (lr, pytest.approx(weight_decay))
    length = epochs_gc10 if target == '_gc10' else epochs
    assert config.train_dataloader.batch_size == batch and config.train_cfg.max_epochs == length
    assert config.train_cfg.val_interval == 10
    assert config.default_hooks.checkpoint.save_best == 'coco/bbox_mAP_50'
    assert config.model.backbone.get('frozen_stages', -1) == frozen
    dataset, num_classes = TARGETS[target]
    trained = config.train_dataloader.dataset
    trained = trained.dataset if name in YOLO else trained
    for one in (trained, config.val_dataloader.dataset, config.test_dataloader.dataset):
        assert one.data_root == f'data/{dataset}/' and len(one.metainfo.classes) == num_classes
    assert trained.ann_file == 'annotations/train.json' and trained.filter_cfg.filter_empty_gt is False
    assert config.val_evaluator.ann_file == f'data/{dataset}/annotations/val.json'
    head = config.model.roi_head.bbox_head if name == FASTER else config.model.bbox_head
    assert head.get('head_module', head).num_classes == num_classes
    if name in YOLO:
        assert config.param_scheduler[1].end == length
        assert hook(config, 'YOLOXModeSwitchHook').num_last_epochs == 10


@pytest.mark.parametrize('name, stage, warmup, milestones', [
    (FASTER, 'agdp', 10, [6, 8]), (FASTER, 'finetune', 500, [400, 450]), (DINO, 'agdp', None, [6]),
    (DINO, 'finetune', None, [400])])
def test_schedules_with_steps(name, stage, warmup, milestones):
    *before, last = load(f'{name}_{stage}').param_scheduler
    assert [(one.end, one.by_epoch, one.start_factor) for one in before] == ([(warmup, False, 0.001)] if warmup else [])
    assert last.milestones == milestones and last.by_epoch is True


@pytest.mark.parametrize('name', YOLO)
@pytest.mark.parametrize('stage', ['agdp', 'finetune'])
def test_the_yolo_recipe(name, stage):
    config = load(f'{name}_{stage}')
    settings = config.optim_wrapper
    assert (settings.optimizer.momentum, settings.optimizer.nesterov) == (0.937, True)
    assert settings.clip_grad.max_norm == 10.0
    assert settings.paramwise_cfg.norm_decay_mult == settings.paramwise_cfg.bias_decay_mult == 0.0
    warmup, decay = config.param_scheduler
    assert (warmup.end, decay.begin, decay.end_factor) == (3, 3, 0.01)
    ema = hook(config, 'EMAHook')
    assert (ema.ema_type, ema.momentum) == ('ExpMomentumEMA', 1e-4)
    steps = {one.type: one for one in config.train_dataloader.dataset.pipeline}
    assert steps['Mosaic'].img_scale == (640, 640) and steps['RandomAffine'].scaling_ratio_range == (0.5, 1.5)
    assert {'YOLOXHSVRandomAug', 'RandomFlip'} < set(steps) and 'MixUp' not in steps


def test_faster_rcnn_and_dino_are_the_papers():
    for stage in ('agdp', 'finetune'):
        faster, dino = load(f'{FASTER}_{stage}'), load(f'{DINO}_{stage}')
        assert faster.model.neck.in_channels == [128, 256, 512, 1024] and faster.model.neck.num_outs == 5
        anchors = faster.model.rpn_head.anchor_generator
        assert anchors.scales == [8] and anchors.ratios == [0.5, 1.0, 2.0]
        assert faster.train_pipeline[2] == dict(type='Resize', scale=(640, 640), keep_ratio=True)
        assert faster.model.data_preprocessor.pad_size_divisor == 32
        assert faster.optim_wrapper.optimizer.momentum == 0.9
        assert faster.model.backbone.window_size == dino.model.backbone.window_size == 6
        assert dino.model.num_queries == 100 and dino.model.dn_cfg.group_cfg.num_dn_queries == 300
        assert dino.model.encoder.num_layers == dino.model.decoder.num_layers == 6
        assert (dino.model.positional_encoding.temperature, dino.model.positional_encoding.offset) == (10000, -0.5)
        assert dino.model.neck.num_outs == 4 and dino.model.neck.norm_cfg.num_groups == 32
        assert dino.optim_wrapper.clip_grad.max_norm == 0.1
        slow = dino.optim_wrapper.paramwise_cfg.custom_keys
        assert {key: one.lr_mult for key, one in slow.items()} == dict(
            backbone=0.1, sampling_offsets=0.1, reference_points=0.1)
        assert dino.train_pipeline[3].transforms[1][1].crop_size == (384, 600)


@pytest.mark.parametrize('stem', STAGES)
def test_one_normalisation_goes_through_all_stages(stem):
    model = load(stem).model
    prepare = model.data_preprocessor
    assert (prepare.mean, prepare.std) == (MEAN, STD)
    assert prepare.get('bgr_to_rgb') or prepare.get('to_rgb')


@pytest.mark.parametrize('name', PAPER)
def test_the_published_normalisation_is_a_switch_away(name):
    """As docs/paper_configs.md has it: x / 255 for the YOLO rows, 101.57 and 61.2 for the others."""
    mean, std = (0.0, 255.0) if name in YOLO else (101.57, 61.2)
    config = Config(load(f'{name}_agdp').to_dict())
    config.merge_from_dict({'model.data_preprocessor.mean': [mean] * 3, 'model.data_preprocessor.std': [std] * 3})
    DefaultScope.get_instance(f'published-{name}', scope_name='mmdet')
    prepare = MODELS.build(config.model.data_preprocessor)
    assert prepare.mean.flatten().tolist() == pytest.approx([mean] * 3)
    assert prepare.std.flatten().tolist() == pytest.approx([std] * 3)


@pytest.mark.parametrize('name', PAPER)
def test_each_stage_takes_up_what_the_one_before_wrote(name):
    start = STAGE_1.get(name, name)
    agdp = load(f'{name}_agdp')
    assert agdp.load_from == f'work_dirs/{start}_agbp/backbone.pth'
    assert agdp.map_store == load(f'{start}_agbp').map_store
    assert hook(agdp, 'DetectorExportHook') and hook(agdp, 'LoadReportHook')
    for target in TARGETS if name in YOLO else ('', ):
        finetune = load(f'{name}_finetune{target}')
        assert finetune.load_from == f'work_dirs/{name}_agdp/detector.pth' and hook(finetune, 'LoadReportHook')
        assert finetune.model.neck == agdp.model.neck
        own = {'frozen_stages', 'norm_eval'}
        assert {key: value for key, value in finetune.model.backbone.items() if key not in own} == {
            key: value for key, value in agdp.model.backbone.items() if key not in own}


# loss of the classifier, lr, batch, milestones, transforms that only this row has
INDUSTRIAL = {
    CSPDARKNET: ('CrossEntropyLoss', 0.01, 256, [60, 90, 180], {'RandomResizedCrop'}),
    YOLOV8: ('CrossEntropyLoss', 0.01, 256, [60, 90, 180], {'RandomResizedCrop'}),
    RESNET: ('CrossEntropyLoss', 0.01, 256, [60, 90, 180], {'RandomResizedCrop'}),
    SWIN: ('LabelSmoothLoss', 5e-4, 320, None, {'RandomResizedCrop', 'RandAugment', 'RandomErasing'}),
    MOCO: (None, 9.6, 512, None, {'MultiView'}), SIMMIM: (None, 1.25e-4, 320, [160], {'SimMIMMaskGenerator'}),
}


@pytest.mark.parametrize('name', INDUSTRIAL)
def test_the_industrial_rows_are_stage_1_without_anomaly_maps(name):
    loss, lr, batch, milestones, transforms = INDUSTRIAL[name]
    config, stage_1 = load(f'{name}_industrial'), load(f'{name}_agbp')
    text = ' '.join(strings_of(config.train_dataloader.to_dict()) + [one.type for one in config.custom_hooks])
    assert 'AnomalyMapGenerator' not in text and 'DistillationPretrainer' not in text
    assert {f'mmpretrain.{one}' for one in transforms} <= set(strings_of(config.train_dataloader.to_dict()))
    assert config.optim_wrapper.optimizer.lr == pytest.approx(lr)
    assert (config.train_dataloader.batch_size, config.train_cfg.max_epochs) == (batch, 200)
    assert config.param_scheduler[-1].get('milestones') == milestones
    # mmpretrain's Swin does not count the patch embedding
    assert config.model.backbone.frozen_stages == stage_1.model.backbone.frozen_stages - (name == SWIN)
    assert config.get('load_from') == stage_1.get('load_from')
    if loss:
        assert (config.model.head.num_classes, config.model.head.loss.type) == (61, loss)
        assert config.model.head.loss.get('loss_weight', 1.0) == 1.0 and hook(config, 'SourceClassesHook')
    if name == SWIN:
        assert config.model.train_cfg.augments == [dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]
        assert config.model.head.loss.label_smooth_val == 0.1
        assert config.train_dataloader.dataset.pipeline[-2].erase_prob == 0.25


SIMMIM_IMAGENET = 'simmim_swin-base_16xb128-amp-coslr-800e_in1k-192_20220916-a0e931ac.pth'
# Folder and start of the rows that fine-tune from elsewhere: what load_from and the backbone's checkpoint end with.
STARTS = {
    (CSPDARKNET, 'scratch'): (None, None), (YOLOV8, 'scratch'): (None, None),
    (RESNET, 'scratch'): (None, None), (SWIN, 'scratch'): (None, None),
    (YOLOV8, 'coco'): ('yolov8_s_syncbn_fast_8xb16-500e_coco_20230117_180101-5aa5f0f1.pth', None),
    (CSPDARKNET, 'coco'): ('yolox_s_8x8_300e_coco_20211121_095711-4592a793.pth', None),
    (RESNET, 'imagenet'): (None, 'torchvision://resnet50'),
    (MOCO, 'imagenet'): (None, 'mocov3_resnet50_8xb512-amp-coslr-800e_in1k_20220927-e043f51a.pth'),
    (SWIN, 'imagenet'): (None, 'swin_base_patch4_window7_224.pth'),
    (SIMMIM, 'imagenet'): (SIMMIM_IMAGENET, None), (FASTER, 'imagenet'): (SIMMIM_IMAGENET, None),
    (DINO, 'imagenet'): (SIMMIM_IMAGENET, None),
    **{(name, 'after-agbp'): (f'work_dirs/{STAGE_1.get(name, name)}_agbp/backbone.pth', None)
       for name in PAPER if name not in YOLOV8_ROWS},
    **{(name, 'industrial'): (f'work_dirs/{name}_industrial/epoch_200.pth', None) for name in INDUSTRIAL},
}


def test_every_row_from_another_start_is_known():
    known = {f'{name}_finetune_{start}' for name, start in STARTS}
    datasets = {f'{name}_finetune{target}' for name in YOLO for target in TARGETS}
    assert known == {stem for stem in STAGES if '_finetune_' in stem} - datasets


@pytest.mark.parametrize('name, start', STARTS)
def test_rows_from_another_start_differ_in_that_alone(name, start):
    config, usual = load(f'{name}_finetune_{start}').to_dict(), load(f'{name}_finetune').to_dict()
    load_from, checkpoint = STARTS[name, start]
    backbone = config['model']['backbone']
    assert (config.pop('load_from') or '').endswith(load_from or '') and bool(load_from) == bool(
        load(f'{name}_finetune_{start}').load_from)
    init_cfg = backbone.pop('init_cfg', None) or {}
    assert init_cfg.get('checkpoint', '').endswith(checkpoint or '') and bool(checkpoint) == bool(init_cfg)
    backbone.pop('convert_weights', None)
    config.pop('checkpoint', None)
    usual['model']['backbone'].pop('init_cfg', None)
    usual.pop('load_from')
    assert config == usual


@pytest.mark.parametrize('stem', STAGES)
def test_config_is_an_ordinary_one(stem):
    config = load(stem)
    assert 'agssp_mm' in config.custom_imports['imports']
    assert not [text for text in strings_of(config.to_dict()) if text.startswith('/')]  # no path of one machine
    DefaultScope.get_instance(stem, scope_name=config.default_scope)
    assert [HOOKS.build({key: value for key, value in one.items() if key != 'priority'}) for one in config.custom_hooks]
    assert OPTIMIZERS.get(config.optim_wrapper.optimizer.type)
    literal_eval(repr(config.to_dict()))  # plain values only: the runner has to write it down


def test_backbones_that_freeze_late_are_looked_out_for():
    """Several processes fail at the second step otherwise: DDP waits for gradients of what was frozen since."""
    found, late = {}, {}
    for stem in STAGES:
        config = load(stem)
        backbone, scope = config.model.backbone, config.model.get('_scope_') or config.get('default_scope')
        if backbone.get('frozen_stages', -1) < 0 or 'yolov8' in stem and 'YOLO' in backbone.type:
            continue
        if backbone.type not in late:
            late[backbone.type] = freezes_late(backbone, scope)
        found[stem] = late[backbone.type]
        assert not late[backbone.type] or config.get('find_unused_parameters'), stem
    assert found[f'{CSPDARKNET}_agbp'] and found[f'{SIMMIM}_agbp'] and found['yolov8_swin-b_cls_agdp']
    assert found[f'{DINO}_finetune'] and found[f'{FASTER}_agdp']
    assert not found[f'{RESNET}_agbp']
