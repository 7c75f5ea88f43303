import pytest
import torch

from agssp_mm.recipes.reachability import drop_unreachable, drop_weights, is_reachable, loads_weights, missing_files


def test_only_what_draws_numbers_is_kept():
    drawn = dict(type='Normal', std=0.01)
    loaded = dict(type='Pretrained', checkpoint='a.pth')
    model = dict(init_cfg=loaded, bbox_head=[dict(init_cfg=[drawn, loaded]), dict(init_cfg=drawn)],
                 neck=dict(init_cfg=dict(checkpoint='pvt.pth')), mask_head=dict(init_cfg=None))
    drop_weights(model)
    assert model == dict(init_cfg=None, bbox_head=[dict(init_cfg=[drawn]), dict(init_cfg=[drawn])],
                         neck=dict(init_cfg=None), mask_head=dict(init_cfg=None))


def test_what_cannot_be_reached_becomes_none_and_is_named(tmp_path):
    here = tmp_path / 'here.pth'
    here.touch()
    pretrained = dict(type='Pretrained', checkpoint='torchvision://resnet18')
    model = dict(
        backbone=dict(init_cfg=pretrained, pretrained=True),
        neck=dict(init_cfg=dict(type='Pretrained', checkpoint=str(here))),
        own_loader=dict(init_cfg=dict(checkpoint='https://nowhere.invalid/pvt.pth')),
        by_class=dict(init_cfg=dict(type='mmengine.model.weight_init.PretrainedInit', checkpoint='torchvision://vgg')),
        bbox_head=[dict(init_cfg=[dict(type='Normal', std=0.01), pretrained]), dict(init_cfg=dict(type='Xavier'))],
        teacher_ckpt='https://nowhere.invalid/teacher.pth')
    left_out = drop_unreachable(model, downloads=False)
    assert model == dict(
        backbone=dict(init_cfg=None, pretrained=False),
        neck=dict(init_cfg=dict(type='Pretrained', checkpoint=str(here))),
        own_loader=dict(init_cfg=None),
        by_class=dict(init_cfg=None),
        bbox_head=[dict(init_cfg=[dict(type='Normal', std=0.01)]), dict(init_cfg=dict(type='Xavier'))],
        teacher_ckpt=None)
    assert sorted(left_out) == ['https://huggingface.co/timm', 'https://nowhere.invalid/pvt.pth',
                                'https://nowhere.invalid/teacher.pth',
                                'torchvision://resnet18', 'torchvision://resnet18', 'torchvision://vgg']


def test_files_urls_and_torchs_own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    url = 'https://nowhere.invalid/some/weights.pth'
    assert not is_reachable(url, downloads=False)
    assert is_reachable(url, downloads=True)
    (tmp_path / 'checkpoints').mkdir()
    (tmp_path / 'checkpoints' / 'weights.pth').touch()
    assert is_reachable(url, downloads=False)
    assert not is_reachable(str(tmp_path / 'gone.pth'))
    assert not is_reachable('torchvision://no_such_model', downloads=True)
    monkeypatch.setenv('HOME', str(tmp_path))
    assert is_reachable('~/checkpoints/weights.pth')  # as MMEngine reads it


def test_a_host_that_does_not_answer():
    assert not is_reachable('https://nowhere.invalid/weights.pth')


def test_files_that_are_missing_are_told_from_hosts(tmp_path):
    here = tmp_path / 'here.pth'
    here.touch()
    gone = [str(tmp_path / name) for name in ('gone.pth', 'too.pth')]
    pretrained = [dict(type='Pretrained', checkpoint=one) for one in (str(here), *gone, 'torchvision://resnet18')]
    assert missing_files(dict(backbone=dict(init_cfg=pretrained[0]), neck=dict(init_cfg=pretrained[1]),
                              head=[dict(init_cfg=pretrained[2:])], pretrained=True)) == gone


@pytest.mark.parametrize('backbone, expected', [
    (dict(type='CSPDarknet'), False),
    (dict(init_cfg=None, pretrained=False), False),
    (dict(init_cfg=dict(type='Kaiming', layer='Conv2d')), False),
    (dict(init_cfg=[dict(type='mmengine.model.weight_init.XavierInit', layer='Conv2d')]), False),
    (dict(init_cfg=[dict(type='Normal', layer='Linear'), dict(type='Pretrained', checkpoint='a.pth')]), True),
    (dict(init_cfg=dict(checkpoint='a.pth')), True),
    (dict(init_cfg=dict(type='EfficientNetLiteImageNet')), True),
    (dict(pretrained=True), True),
    (dict(body=dict(pretrained='a.pth')), True),
])
def test_whether_weights_are_loaded(backbone, expected):
    assert loads_weights(backbone) is expected
