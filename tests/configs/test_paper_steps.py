"""Every config of the paper's rows trains one step on made images, shrunk but otherwise as it is written."""
import json
import math
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import mmcv
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image

import agssp_mm
from agssp_mm.datasets.synthetic import make_image
from agssp_mm.images import list_images
from agssp_mm.maps.generate import generate_maps
from agssp_mm.teachers.texture import TextureTeacher

ROOT = Path(__file__).parents[2] / 'configs' / 'agssp'
PAPER = sorted(folder.name for folder in ROOT.iterdir() if folder.name.endswith(('_cls', '_mocov3', '_simmim')))
SIDE = 64
SIZES = {'scale', 'img_scale', 'crop_size', 'scales', 'border', 'input_size'}
RESNET, CSPDARKNET = ('conv1', 'bn1', 'layer1', 'layer2'), ('stem', 'stage1', 'stage2')
SWIN = ('patch_embed', 'stages.0', 'stages.1')
INPUT_SIZES = dict(YOLOX=640, YOLODetector=640, FasterRCNN=640, DINO=640, SimMIM=192)
CLASSES = dict(casting_billet=6, steel_pipe=4, gc10=10)
# Backbone parts that a stage must leave alone; None is all of it.
FROZEN = {
    'yolox_cspdarknet_cls': dict(agbp=CSPDARKNET, industrial=CSPDARKNET, agdp=None, finetune=()),
    'yolov8_cspdarknet_cls': dict(agbp=CSPDARKNET, industrial=CSPDARKNET, agdp=None, finetune=()),
    'yolox_r50_cls': dict(agbp=RESNET, industrial=RESNET, agdp=None, finetune=()),
    'yolox_r50_mocov3': dict(agbp=RESNET, industrial=RESNET, agdp=None, finetune=()),
    'yolox_swin-b_cls': dict(agbp=SWIN, industrial=SWIN, agdp=None, finetune=()),
    'yolox_swin-b_simmim': dict(agbp=SWIN, industrial=SWIN, agdp=None, finetune=()),
    **{f'yolov8_{name}': dict(agdp=None, finetune=()) for name in ('r50_cls', 'r50_mocov3', 'swin-b_cls',
                                                                    'swin-b_simmim')},
    'faster-rcnn_swin-b_simmim': dict(agdp=None, finetune=SWIN),
    'dino_swin-b_simmim': dict(agdp=None, finetune=SWIN),
}
FAST = {'yolox_r50_cls_agbp', 'yolox_r50_mocov3_agbp', 'yolox_swin-b_cls_agbp', 'yolox_swin-b_simmim_agbp',
        'yolox_cspdarknet_cls_agdp', 'faster-rcnn_swin-b_simmim_agdp', 'yolox_cspdarknet_cls_finetune'}


@pytest.fixture(autouse=True)
def unformatted(monkeypatch):
    """The runner logs the config, and lays it out with a formatter that takes seconds."""
    monkeypatch.setattr(Config, 'pretty_text', '')


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """Two sources of two made images with their maps as the corpus, and two labelled images as every target."""
    data = tmp_path / 'data'
    for number in range(4):
        path = data / 'industrial' / 'images' / f'source{number % 2}' / f'{number}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(make_image(seed=number, size=SIDE).image).save(path)
    for name, num_classes in CLASSES.items():
        (data / name / 'annotations').mkdir(parents=True)
        (data / name / 'images').symlink_to(data / 'industrial' / 'images')
        classes = Config.fromfile(str(ROOT.parent / '_base_' / 'datasets' / f'{name}.py')).metainfo['classes']
        assert len(classes) == num_classes
        coco = dict(
            images=[dict(id=number, file_name=f'images/source{number}/{number}.png', width=SIDE, height=SIDE)
                    for number in range(2)],
            annotations=[dict(id=number + 1, image_id=number, category_id=number + 1, iscrowd=0, area=576,
                              bbox=[8, 8, 24, 24]) for number in range(2)],
            categories=[dict(id=number, name=name) for number, name in enumerate(classes, 1)])
        for split in ('train', 'val'):
            (data / name / 'annotations' / f'{split}.json').write_text(json.dumps(coco))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('AGSSP_DATA_ROOT', str(data))
    images = data / 'industrial' / 'images'
    generate_maps(list_images(images, sources=dict(one='source0', two='source1')), TextureTeacher(),
                  'work_dirs/maps/industrial')
    return tmp_path


def read(path, monkeypatch):
    """Read a config; those of YOLOv8 need MMYOLO, which can be installed beside the environment, and whose assertion on
    the version of mmcv is met for the moment of its import."""
    if path.stem.startswith('yolov8'):
        if find_spec('mmyolo') is None:
            pytest.skip('MMYOLO is not installed: pip install --no-deps --target DIR mmyolo==0.6.0 prettytable wcwidth '
                        'puts it where PYTHONPATH=DIR finds it')
        with monkeypatch.context() as patch:
            patch.setattr(mmcv, '__version__', '2.0.1')
            import_module('mmyolo.models')
    return Config.fromfile(str(path))


def shrink_sizes(node, factor):
    """Divide every size in pixels of a pipeline, in place."""
    if isinstance(node, list):
        for value in node:
            shrink_sizes(value, factor)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in SIZES:
                node[key] = divide(value, factor)
            else:
                shrink_sizes(value, factor)


def divide(value, factor):
    if isinstance(value, list | tuple):
        return type(value)(divide(one, factor) for one in value)
    return round(value / factor)


def shrink_backbone(backbone):
    """Few channels, shallow; the levels have 16, 32, 64 and 128 channels."""
    backbone.init_cfg = None
    if backbone.type.endswith('ResNet'):
        backbone.base_channels = 4
    elif backbone.type.endswith('CSPDarknet'):
        backbone.widen_factor = 0.125
    elif 'arch' in backbone:
        backbone.update(arch=dict(embed_dims=16, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2]), img_size=SIDE)
        backbone.setdefault('stage_cfgs', Config(dict(block_cfgs=dict())))
        backbone.stage_cfgs.setdefault('block_cfgs', {})['window_size'] = 2
    else:
        backbone.update(embed_dims=16, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=2)


def shrink(config):
    """Make a config fit two cores and a second; what it says about training stays."""
    model = config.model
    shrink_backbone(model.backbone)
    if model.type == 'YOLOX':
        model.neck.update(in_channels=[32, 64, 128], out_channels=16)
        model.bbox_head.update(in_channels=16, feat_channels=16)
    elif model.type == 'mmyolo.YOLODetector':
        channels = [32, 64, 128]
        model.neck.update(in_channels=channels, out_channels=channels, widen_factor=1.0)
        model.bbox_head.head_module.update(in_channels=channels, widen_factor=1.0)
    elif model.type == 'FasterRCNN':
        model.neck.update(in_channels=[16, 32, 64, 128], out_channels=16)
        model.rpn_head.update(in_channels=16, feat_channels=16)
        model.roi_head.bbox_roi_extractor.out_channels = 16
        model.roi_head.bbox_head.update(in_channels=16, fc_out_channels=16)
    elif model.type == 'DINO':
        model.neck.in_channels = [32, 64, 128]
        model.num_queries, model.dn_cfg.group_cfg.num_dn_queries, model.test_cfg.max_per_img = 10, 10, 10
        model.encoder.num_layers = model.decoder.num_layers = 1
    elif model.type == 'ImageClassifier':
        model.head.update(in_channels=128, num_classes=2)  # as many as the made corpus has sources
        if 'num_classes' in model.data_preprocessor:
            model.data_preprocessor.num_classes = 2
    elif model.type == 'MoCoV3':
        model.neck.update(in_channels=128, hid_channels=16, out_channels=8)
        model.head.predictor.update(in_channels=8, hid_channels=16, out_channels=8)
    elif model.type == 'SimMIM':
        model.neck.in_channels = 128
    loader = config.train_dataloader
    shrink_sizes(loader.dataset.pipeline, INPUT_SIZES.get(model.type.split('.')[-1], 224) / SIDE)
    if config.get('val_dataloader'):
        shrink_sizes(config.val_dataloader.dataset.pipeline, 640 / SIDE)
    loader.update(batch_size=2, num_workers=0, persistent_workers=False)
    if config.get('val_dataloader'):
        config.val_dataloader.update(num_workers=0, persistent_workers=False)
    config.merge_from_dict({
        'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 1, 'load_from': None, 'default_hooks.logger.interval': 1})


def stage_of(path):
    return next(stage for stage in ('agbp', 'industrial', 'agdp', 'finetune') if f'_{stage}' in path.stem)


# The same training; test_paper_rows.py compares them.
OTHER_STARTS = ('_after-agbp', '_coco', '_finetune_industrial', '_imagenet', '_scratch')
CONFIGS = [path for name in PAPER for path in sorted((ROOT / name).glob('*.py'))
           if not path.stem.endswith(OTHER_STARTS)]


@pytest.mark.parametrize('path', [
    pytest.param(path, id=path.stem, marks=[] if path.stem in FAST else pytest.mark.slow) for path in CONFIGS])
def test_one_step(workplace, path, monkeypatch):
    config = read(path, monkeypatch)
    shrink(config)
    config.work_dir, config.experiment_name = f'work_dirs/{path.stem}', f'{path.stem}_{time.time_ns()}'
    runner = Runner.from_cfg(config)
    first = Snapshot()
    runner.register_hook(first)
    runner.train()
    losses = {key: value.data[0][0] for key, value in runner.message_hub.log_scalars.items() if 'loss' in key}
    assert losses['train/loss'] > 0 and all(map(math.isfinite, losses.values())), losses
    assert any('loss_anomaly' in key for key in losses) == (stage_of(path) == 'agbp')
    check_what_moved(runner.model, first.weights, FROZEN[path.parent.name][stage_of(path)])


@pytest.mark.slow
@pytest.mark.parametrize('name', ['yolox_r50_cls', 'yolox_swin-b_simmim', 'yolov8_cspdarknet_cls'])
def test_the_stages_hand_over(workplace, name, monkeypatch):
    for stage in ('agbp', 'agdp', 'finetune'):
        config = read(ROOT / name / f'{name}_{stage}.py', monkeypatch)
        start = config.get('load_from') if stage != 'agbp' else None  # that of stage 1 is on the web
        shrink(config)
        config.update(load_from=start, work_dir=f'work_dirs/{name}_{stage}',
                      experiment_name=f'{name}_{stage}_{time.time_ns()}')
        first = Snapshot()
        runner = Runner.from_cfg(config)
        runner.register_hook(first)
        runner.train()
        if start:
            loaded = torch.load(start, weights_only=True)['state_dict']
            shared = {key for key in loaded if key in first.weights and loaded[key].shape == first.weights[key].shape}
            assert all(torch.equal(loaded[key], first.weights[key]) for key in shared)
            assert {key.split('.')[0] for key in shared} >= ({'backbone'} if stage == 'agdp' else {'backbone', 'neck'})
            lost = {key for key in loaded if key not in shared}
            assert not [key for key in lost if 'cls' not in key and 'mask_token' not in key], lost


@pytest.mark.slow
def test_the_recipes_derive_all_stages_of_yolov8(workplace, monkeypatch):
    """They do not know the detector: its count of classes stands in a module of the head, and in the assigner."""
    name = 'yolov8_cspdarknet_cls_finetune'
    config = read(ROOT / 'yolov8_cspdarknet_cls' / f'{name}.py', monkeypatch)
    shrink(config)
    monkeypatch.undo()  # the texts of the configs are written and read again
    monkeypatch.chdir(workplace)
    result = agssp_mm.pretrain(
        workplace / 'data' / 'industrial' / 'images', config, 'out', image_size=SIDE, batch_size=2, workers=0,
        agbp_epochs=1, agdp_epochs=1, downloads=False)
    derived = Config.fromfile('out/agdp.py').model
    assert derived.bbox_head.head_module.num_classes == derived.train_cfg.assigner.num_classes == 1
    weights = torch.load(result.detector, weights_only=True)['state_dict']
    assert weights['bbox_head.head_module.cls_preds.0.2.weight'].shape[0] == 1
    assert 'backbone.stage4.2.conv2.conv.weight' in torch.load(result.backbone, weights_only=True)['state_dict']


class Snapshot(Hook):
    """The weights as they are when the training starts."""

    def before_train(self, runner):
        self.weights = {key: value.clone() for key, value in runner.model.state_dict().items()}


def check_what_moved(model, before, frozen):
    after = model.state_dict()
    moved = {key for key, value in before.items() if not torch.equal(value, after[key])}
    backbone = {key.removeprefix('backbone.') for key in moved if key.startswith('backbone.')}
    if frozen is None:
        assert not backbone
    else:
        assert backbone and not [key for key in backbone if key.startswith(frozen)], backbone
    for name, module in model.named_children():
        if name != 'backbone' and any(one.requires_grad for one in module.parameters()):
            assert any(key.startswith(f'{name}.') for key in moved), name
