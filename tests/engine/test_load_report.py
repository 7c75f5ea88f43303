import copy
import logging

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS
from torch import nn

from agssp_mm.checkpoints.export import save_checkpoint
from agssp_mm.engine.load_report import LoadReportHook

HOOKS = (dict(type='DistillationPretrainer'), dict(type='LoadReportHook'))


@pytest.fixture
def run(make_runner):
    """Train with what is given, and return what was logged."""
    def start(**more):
        runner = make_runner(**{'hooks': HOOKS, 'epochs': 1, 'log_level': 'INFO', **more})
        lines = []
        handler = logging.Handler()
        handler.emit = lambda record: lines.append(record.getMessage())
        runner.logger.addHandler(handler)
        runner.train()
        return runner, '\n'.join(lines)
    return start


@pytest.fixture
def backbone_file(tmp_path):
    """A checkpoint of the toy backbone under a detector's names."""
    state = MODELS.build(dict(type='ToyBackbone')).state_dict()
    path = tmp_path / 'backbone.pth'
    save_checkpoint(path, {f'backbone.{name}': value for name, value in state.items()})
    return path


def with_init(**init_cfg):
    return dict(type='BackbonePretrainer', data_preprocessor=dict(type='BaseDataPreprocessor'),
                backbone=dict(type='ToyBackbone', init_cfg=dict(type='Pretrained', **init_cfg)))


def test_load_from_is_reported(run, backbone_file):
    _, log = run(load_from=str(backbone_file))
    assert f'load_from {backbone_file}: 6 of 6 tensors of the model loaded (backbone 6/6)' in log


def test_pretrained_init_is_reported_with_its_prefix(run, backbone_file):
    _, log = run(model=with_init(checkpoint=str(backbone_file), prefix='backbone.'))
    assert f"init_cfg of backbone from {backbone_file} with prefix 'backbone.': 6 of 6 tensors" in log


def test_missing_tensors_are_named(run, backbone_file):
    content = torch.load(backbone_file, weights_only=True)
    del content['state_dict']['backbone.stages.2.bias']
    torch.save(content, backbone_file)
    _, log = run(load_from=str(backbone_file))
    assert '5 of 6 tensors' in log and '1 of the model not in the file: backbone.stages.2.bias' in log


def test_a_forgotten_prefix_is_refused_with_the_way_out(run, backbone_file):
    with pytest.raises(ValueError, match="matches almost nothing: 0% .*at least 50%.*add prefix='backbone.'"):
        run(model=with_init(checkpoint=str(backbone_file)))


def test_a_prefix_too_many_is_refused_with_the_way_out(run, tmp_path):
    save_checkpoint(tmp_path / 'bare.pth', MODELS.build(dict(type='ToyBackbone')).state_dict())
    with pytest.raises(ValueError, match='matches almost nothing.*without a prefix: leave `prefix` out'):
        run(model=with_init(checkpoint=str(tmp_path / 'bare.pth'), prefix='backbone.'))


def test_a_bare_backbone_as_load_from_is_refused_with_the_way_out(run, tmp_path):
    save_checkpoint(tmp_path / 'bare.pth', MODELS.build(dict(type='ToyBackbone')).state_dict())
    with pytest.raises(ValueError, match='matches almost nothing.*holds a bare backbone'):
        run(load_from=str(tmp_path / 'bare.pth'))


def test_another_architecture_is_refused_and_the_floor_can_be_moved(run, tmp_path):
    path = tmp_path / 'other.pth'
    save_checkpoint(path, {f'encoder.{i}': torch.zeros(2) for i in range(9)})
    with pytest.raises(ValueError, match='load_from .*other.pth matches almost nothing.*another architecture'):
        run(load_from=str(path))
    run(load_from=str(path), hooks=(HOOKS[0], dict(type='LoadReportHook', min_matched=0.0)))


@pytest.mark.parametrize('left_out, added, message', [
    ('backbone.stages.2.bias', None, '1 of the model not in the file: backbone.stages.2.bias'),
    (None, 'neck.weight', '1 of the file not in the model: neck.weight'),
])
def test_strict_refuses_a_tensor_too_few_or_too_many(run, backbone_file, left_out, added, message):
    strict = (HOOKS[0], dict(type='LoadReportHook', strict=True))
    run(load_from=str(backbone_file), hooks=strict)
    state = torch.load(backbone_file, weights_only=True)['state_dict']
    state.pop(left_out, None)
    state.update({added: torch.zeros(2)} if added else {})
    save_checkpoint(backbone_file, state)
    run(load_from=str(backbone_file))
    with pytest.raises(ValueError, match=f'does not fit to the last tensor, as strict(.|\n)*{message}'):
        run(load_from=str(backbone_file), hooks=strict)


def test_strict_lets_an_init_cfg_take_a_part_of_a_file(run, backbone_file):
    state = torch.load(backbone_file, weights_only=True)['state_dict']
    save_checkpoint(backbone_file, {**state, 'backbone.fc.weight': torch.zeros(2)})
    strict = (HOOKS[0], dict(type='LoadReportHook', strict=True))
    init = with_init(checkpoint=str(backbone_file), prefix='backbone.')
    run(model=init, hooks=strict)
    del state['backbone.stages.2.bias']
    save_checkpoint(backbone_file, state)
    with pytest.raises(ValueError, match='init_cfg of backbone .* does not fit to the last tensor'):
        run(model=init, hooks=strict)


def test_allow_partial_takes_any_share_but_none(run, backbone_file, tmp_path):
    state = torch.load(backbone_file, weights_only=True)['state_dict']
    name = 'backbone.stages.2.bias'
    save_checkpoint(backbone_file, {f'{"" if key == name else "old."}{key}': value for key, value in state.items()})
    with pytest.raises(ValueError, match='17% of the tensors, at least 50% .*--allow-partial'):
        run(load_from=str(backbone_file))
    partial = (HOOKS[0], dict(type='LoadReportHook', allow_partial=True))
    _, log = run(load_from=str(backbone_file), hooks=partial)
    assert '1 of 6 tensors' in log
    save_checkpoint(backbone_file, dict(other=torch.zeros(2)))
    with pytest.raises(ValueError, match='matches almost nothing: 0%'):
        run(load_from=str(backbone_file), hooks=partial)


def test_strict_and_partial_exclude_each_other():
    with pytest.raises(ValueError, match='set one of them'):
        LoadReportHook(strict=True, allow_partial=True)


def test_a_floor_that_is_no_share_is_refused():
    with pytest.raises(ValueError, match='got 50'):
        LoadReportHook(min_matched=50)


def test_a_missing_file_is_refused_before_training(run, tmp_path):
    with pytest.raises(FileNotFoundError, match='gone.pth does not exist'):
        run(load_from=str(tmp_path / 'gone.pth'))
    with pytest.raises(FileNotFoundError, match='gone.pth does not exist'):
        run(model=with_init(checkpoint=str(tmp_path / 'gone.pth')))


class Bomb:
    """Unpickling it leaves a trace."""

    def __init__(self, trace):
        self.trace = str(trace)

    def __reduce__(self):
        return open, (self.trace, 'w')


@pytest.mark.parametrize('way', ['load_from', 'init_cfg'])
def test_a_foreign_file_is_not_unpickled_unless_trusted(run, tmp_path, backbone_file, way):
    content = torch.load(backbone_file, weights_only=True)
    content['bomb'] = Bomb(tmp_path / 'trace')
    path = tmp_path / 'foreign.pth'
    torch.save(content, path)
    settings = (dict(load_from=str(path)) if way == 'load_from'
                else dict(model=with_init(checkpoint=str(path), prefix='backbone.')))
    with pytest.raises(ValueError, match='foreign.pth holds more than tensors.*trust_checkpoint=True'):
        run(**settings)
    assert not (tmp_path / 'trace').exists()
    run(**settings, hooks=(HOOKS[0], dict(type='LoadReportHook', trust_checkpoint=True)))
    assert (tmp_path / 'trace').exists()


def test_resuming_is_reported_too(run, make_runner):
    checkpoints = dict(default_hooks=dict(logger=None, timer=None, checkpoint=dict(type='CheckpointHook', interval=1)))
    make_runner(epochs=1, **checkpoints).train()
    _, log = run(epochs=2, resume=True, **checkpoints)
    assert '6 of 6 tensors of the model loaded' in log


def test_a_model_that_renames_what_it_loads_is_judged_by_values(run, tmp_path, make_runner):
    """mmdet's Swin reads official checkpoints: content under `model`, names of its own."""
    swin = dict(type='mmdet.SwinTransformer', embed_dims=4, depths=(1, 1, 1, 1), num_heads=(1, 1, 1, 1), window_size=2)
    state = {name: torch.rand_like(value) if value.is_floating_point() else value
             for name, value in MODELS.build(swin).state_dict().items()}
    path = tmp_path / 'official.pth'
    torch.save(dict(model={f'backbone.{name}': value for name, value in state.items()}), path)
    model = dict(type='BackbonePretrainer', data_preprocessor=dict(type='BaseDataPreprocessor'),
                 backbone=dict(swin, init_cfg=dict(type='Pretrained', checkpoint=str(path))))
    runner, log = run(model=ConfigDict(model), lr=0.0)
    total = len(state)
    assert f'init_cfg of backbone from {path}: {total} of {total} tensors' in log
    torch.save(dict(model={f'backbone.{name}': value[:1] for name, value in state.items()}), path)
    with pytest.raises((ValueError, RuntimeError), match='matches almost nothing|size mismatch'):
        run(model=ConfigDict(model), lr=0.0)


def detector(num_classes):
    return MODELS.build(ConfigDict(
        type='mmdet.RetinaNet', backbone=dict(type='mmdet.ResNet', depth=18, base_channels=4),
        neck=dict(type='mmdet.FPN', in_channels=[4, 8, 16, 32], out_channels=8, num_outs=4),
        bbox_head=dict(type='mmdet.RetinaHead', num_classes=num_classes, in_channels=8, stacked_convs=1,
                       feat_channels=8, bbox_coder=dict(type='mmdet.DeltaXYWHBBoxCoder'),
                       loss_cls=dict(type='mmdet.FocalLoss', use_sigmoid=True), loss_bbox=dict(type='mmdet.L1Loss'),
                       anchor_generator=dict(type='mmdet.AnchorGenerator', octave_base_scale=4, scales_per_octave=1,
                                             ratios=[1.0], strides=[4, 8, 16, 32]))))


def test_one_class_into_six_names_exactly_the_tensors_left_out(make_runner, tmp_path):
    path = tmp_path / 'detector.pth'
    torch.manual_seed(1)
    save_checkpoint(path, detector(1).state_dict())
    runner = make_runner(detector(6), [dict(type='LoadReportHook', min_matched=1.0)], load_from=str(path),
                         log_level='INFO')
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    runner.logger.addHandler(handler)
    before = copy.deepcopy(runner.model.state_dict())
    runner.call_hook('before_run')
    runner.load_or_resume()
    report = next(line for line in lines if line.startswith('load_from'))
    assert ('2 left out, because the number of classes is another one: '
            'bbox_head.retina_cls.weight (file (1, 8, 3, 3), model (6, 8, 3, 3)), '
            'bbox_head.retina_cls.bias (file (1,), model (6,))') in report
    assert len(report.splitlines()) == 2
    kept = {name for name, value in runner.model.state_dict().items() if torch.equal(value, before[name])}
    loaded = torch.load(path, weights_only=True)['state_dict']
    assert {name for name, value in runner.model.state_dict().items()
            if name not in loaded or value.shape != loaded[name].shape} == {'bbox_head.retina_cls.weight',
                                                                           'bbox_head.retina_cls.bias'}
    assert 'bbox_head.retina_cls.weight' in kept and 'neck.lateral_convs.0.conv.weight' not in kept


def test_nothing_is_read_for_init_in_a_test_run(make_runner, toys, tmp_path):
    """Tests start from `load_from` alone; a file of an init_cfg may be gone by then."""
    runner = make_runner(with_init(checkpoint=str(tmp_path / 'gone.pth')), HOOKS,
                         val_dataloader=toys.loader(), val_cfg=dict(), val_evaluator=dict(type='MapAgreement'))
    assert set(runner.val()) == {'agreement/s0', 'agreement/s1', 'agreement/s2'}
    assert not isinstance(runner.model, nn.DataParallel)
