import pickle

import pytest
import timm
import torch
import torchvision
from mmengine.config import ConfigDict
from mmengine.registry import MODELS
from mmengine.runner.checkpoint import load_checkpoint

from agssp_mm.checkpoints.export import save_checkpoint
from agssp_mm.checkpoints.reading import sha256
from agssp_mm.cli import main

RESNET = dict(type='mmdet.ResNet', depth=18, norm_cfg=dict(type='BN'))


@pytest.fixture
def backbone():
    return MODELS.build(RESNET)


@pytest.fixture
def run_file(tmp_path, backbone):
    """What MMEngine writes in a run: a detector, an optimizer, metadata."""
    state = {f'backbone.{name}': value for name, value in backbone.state_dict().items()}
    path = tmp_path / 'epoch_3.pth'
    torch.save(dict(state_dict={**state, 'neck.weight': torch.ones(2)}, optimizer=dict(state={}),
                    meta=dict(epoch=3, seed=0, cfg='model = 1', time='today')), path)
    return path


def test_the_backbone_starts_a_detector_as_the_printed_snippet_says(tmp_path, run_file, backbone, capsys):
    out = tmp_path / 'new' / 'backbone.pth'
    assert main(['export', str(run_file), str(out)]) == 0
    snippet = capsys.readouterr().out.strip().splitlines()[-1]
    assert snippet == (f"model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='{out}', "
                       "prefix='backbone.')))")
    scope = {}
    exec(snippet, scope)
    other = MODELS.build(ConfigDict({**RESNET, **scope['model']['backbone']}))
    other.init_weights()
    assert all(torch.equal(value, backbone.state_dict()[name]) for name, value in other.state_dict().items())
    content = torch.load(out, weights_only=True)
    assert set(content) == {'meta', 'state_dict'}
    assert not [name for name in content['state_dict'] if not name.startswith('backbone.')]
    meta = content['meta']
    assert (meta['epoch'], meta['seed'], meta['cfg']) == (3, 0, 'model = 1') and 'time' not in meta
    assert meta['made_from'] == dict(checkpoint='epoch_3.pth', sha256=sha256(run_file), made_from=None)


@pytest.mark.parametrize('config', [dict(type='mmdet.ResNeSt', depth=50, base_channels=4),
                                    dict(type='mmdet.Res2Net', depth=50, base_channels=4)])
def test_under_its_own_names_any_backbone_is_written_as_it_is(tmp_path, config):
    state = {f'backbone.{name}': value for name, value in MODELS.build(config).state_dict().items()}
    save_checkpoint(tmp_path / 'detector.pth', state | {'neck.weight': torch.ones(2)})
    assert main(['export', str(tmp_path / 'detector.pth'), str(tmp_path / 'out.pth')]) == 0
    written = torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict']
    assert set(written) == set(state) and all(torch.equal(value, state[name]) for name, value in written.items())


def test_the_whole_detector_is_written_without_the_optimizer(tmp_path, run_file, capsys):
    out = tmp_path / 'detector.pth'
    assert main(['export', str(run_file), str(out), '--part', 'detector']) == 0
    assert capsys.readouterr().out.strip().endswith(f"load_from = '{out}'")
    content = torch.load(out, weights_only=True)
    assert set(content['state_dict']) == set(torch.load(run_file, weights_only=True)['state_dict'])
    again = tmp_path / 'again.pth'
    assert main(['export', str(out), str(again)]) == 0
    made_from = torch.load(again, weights_only=True)['meta']['made_from']
    assert made_from['sha256'] == sha256(out) and made_from['made_from']['sha256'] == sha256(run_file)


def test_a_whole_detector_goes_to_torchvision_and_back(tmp_path, backbone, capsys):
    ours = MODELS.build(dict(type='mmdet.RetinaNet', backbone=RESNET, neck=dict(
        type='mmdet.FPN', in_channels=[64, 128, 256, 512], out_channels=8, start_level=1, num_outs=5,
        add_extra_convs='on_input'), bbox_head=dict(
        type='mmdet.RetinaHead', num_classes=2, in_channels=8, stacked_convs=4, feat_channels=8)))
    files = [str(tmp_path / name) for name in ('run.pth', 'there.pth', 'back.pth')]
    save_checkpoint(files[0], ours.state_dict())
    assert main(['export', *files[:2], '--part', 'detector', '--to', 'torchvision']) == 0
    printed = capsys.readouterr().out
    assert 'architecture: retinanet' in printed and 'relu_before_extra_convs=True' in printed
    assert printed.strip().endswith(f"torch.load('{files[1]}', weights_only=True)['state_dict'], strict=False)")
    there = torch.load(files[1], weights_only=True)
    assert (there['meta']['library'], there['meta']['architecture']) == ('torchvision', 'retinanet')
    assert there['state_dict']['head.classification_head.cls_logits.bias'].shape == (9 * 3, )
    assert main(['convert', *files[1:], '--part', 'detector', '--from', 'torchvision', '--to', 'mmdet']) == 0
    assert capsys.readouterr().out.strip().endswith(f"load_from = '{files[2]}'")
    back = torch.load(files[2], weights_only=True)['state_dict']
    assert set(back) == set(ours.state_dict())
    assert all(torch.equal(value, ours.state_dict()[name]) for name, value in back.items())


def test_the_averaged_weights_of_a_run_are_the_ones_that_count(tmp_path, run_file):
    content = torch.load(run_file, weights_only=True)
    content['ema_state_dict'] = {'module.backbone.conv1.weight': torch.zeros(1)}
    torch.save(content, run_file)
    assert main(['export', str(run_file), str(tmp_path / 'out.pth')]) == 0
    written = torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict']
    assert torch.equal(written['backbone.conv1.weight'], content['state_dict']['backbone.conv1.weight'])


@pytest.mark.parametrize('library', ['timm', 'torchvision'])
def test_an_exported_backbone_loads_elsewhere_as_the_snippet_says(tmp_path, run_file, backbone, library, capsys):
    out = tmp_path / 'out.pth'
    assert main(['export', str(run_file), str(out), '--to', library]) == 0
    printed = capsys.readouterr().out.strip().splitlines()
    assert 'architecture: resnet' in printed and any("style='caffe'" in line for line in printed)
    model = timm.create_model('resnet18') if library == 'timm' else torchvision.models.resnet18()
    assert eval(printed[-1], dict(torch=torch, model=model)).missing_keys == ['fc.weight', 'fc.bias']
    assert torch.equal(model.layer4[1].conv2.weight, backbone.layer4[1].conv2.weight)


def test_a_file_for_detectron2_stands_under_model(tmp_path, run_file, backbone):
    out = tmp_path / 'out.pth'
    assert main(['export', str(run_file), str(out), '--to', 'detectron2']) == 0
    content = torch.load(out, weights_only=True)
    assert content['matching_heuristics'] is True and 'state_dict' not in content
    assert torch.equal(content['model']['res2.0.conv1.norm.bias'], backbone.layer1[0].bn1.bias)
    assert main(['convert', str(out), str(tmp_path / 'back.pth'), '--from', 'detectron2', '--to', 'mmdet']) == 0
    other = MODELS.build(dict(type='mmdet.RetinaNet', backbone=RESNET, neck=dict(
        type='mmdet.FPN', in_channels=[64, 128, 256, 512], out_channels=8, num_outs=4), bbox_head=dict(
        type='mmdet.RetinaHead', num_classes=1, in_channels=8, stacked_convs=0, feat_channels=8)))
    load_checkpoint(other, str(tmp_path / 'back.pth'))
    assert torch.equal(other.backbone.layer4[0].downsample[0].weight, backbone.layer4[0].downsample[0].weight)


def test_a_safetensors_file_and_a_url_free_classifier_are_converted(tmp_path, capsys):
    from safetensors.torch import save_file
    theirs = timm.create_model('resnet18', num_classes=3)
    save_file(theirs.state_dict(), tmp_path / 'a.safetensors')
    out = tmp_path / 'out.pth'
    assert main(['convert', str(tmp_path / 'a.safetensors'), str(out), '--from', 'timm', '--to', 'mmpretrain']) == 0
    content = torch.load(out, weights_only=True)
    assert torch.equal(content['state_dict']['head.fc.weight'], theirs.fc.weight)
    assert content['meta']['library'] == 'mmpretrain' and content['meta']['architecture'] == 'resnet'
    (tmp_path / 'half.safetensors').write_bytes((tmp_path / 'a.safetensors').read_bytes()[:1000])
    assert main(['convert', str(tmp_path / 'half.safetensors'), str(out), '--from', 'timm', '--to', 'mmdet']) == 2
    assert 'cut off' in capsys.readouterr().err


def test_a_pickle_of_detectron2_is_read_only_when_trusted(tmp_path, backbone, capsys):
    save_checkpoint(tmp_path / 'bare.pth', backbone.state_dict())
    files = [str(tmp_path / 'bare.pth'), str(tmp_path / 'd2.pth')]
    assert main(['convert', *files, '--from', 'mmdet', '--to', 'detectron2']) == 0
    state = torch.load(tmp_path / 'd2.pth', weights_only=True)['model']
    path = tmp_path / 'R-18.pkl'
    path.write_bytes(pickle.dumps(dict(model={name: value.numpy() for name, value in state.items()})))
    arguments = ['convert', str(path), str(tmp_path / 'out.pth'), '--from', 'detectron2', '--to', 'mmdet']
    assert main(arguments) == 2 and not (tmp_path / 'out.pth').exists()
    assert '--trust-checkpoint' in capsys.readouterr().err
    assert main([*arguments, '--trust-checkpoint']) == 0
    written = torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict']
    assert torch.equal(written['backbone.bn1.running_var'], backbone.bn1.running_var)


def test_deep_stems_are_renamed_for_mmpretrain(tmp_path):
    ours = MODELS.build(dict(type='mmdet.ResNetV1d', depth=18))
    save_checkpoint(tmp_path / 'in.pth', {f'backbone.{name}': value for name, value in ours.state_dict().items()})
    assert main(['export', str(tmp_path / 'in.pth'), str(tmp_path / 'out.pth'), '--to', 'mmpretrain']) == 0
    written = torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict']
    assert torch.equal(written['backbone.stem.2.conv.weight'], ours.stem[6].weight)


@pytest.mark.parametrize('arguments, message', [
    (['export', 'gone.pth', 'out.pth'], 'gone.pth does not exist'),
    (['export', 'epoch_3.pth', 'out.pth', '--part', 'detector', '--to', 'timm'], 'timm has no retinanet'),
    (['export', 'epoch_3.pth', 'out.pth', '--part', 'detector', '--to', 'torchvision'], 'neck.weight. It is another'),
    (['export', 'bare.pth', 'out.pth'], 'no tensor whose name starts with "backbone."'),
    (['export', 'epoch_3.pth', 'epoch_3.pth'], 'is the file that is read'),
    (['convert', 'epoch_3.pth', 'out.pth', '--from', 'timm', '--to', 'mmdet'], 'none of the'),
    (['convert', 'text.pth', 'out.pth', '--from', 'timm', '--to', 'mmdet'], 'is no checkpoint'),
])
def test_bad_input_is_one_line_and_nothing_is_written(tmp_path, run_file, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    save_checkpoint('bare.pth', dict(weight=torch.zeros(1)))
    (tmp_path / 'text.pth').write_text('hello')
    before = run_file.read_bytes()
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'out.pth').exists() and run_file.read_bytes() == before
