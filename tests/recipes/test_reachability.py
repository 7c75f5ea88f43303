import torch

from agssp_mm.recipes.reachability import drop_unreachable, is_reachable


def test_what_cannot_be_reached_becomes_none_and_is_named(tmp_path):
    here = tmp_path / 'here.pth'
    here.touch()
    pretrained = dict(type='Pretrained', checkpoint='torchvision://resnet18')
    model = dict(
        backbone=dict(init_cfg=pretrained, pretrained=True),
        neck=dict(init_cfg=dict(type='Pretrained', checkpoint=str(here))),
        own_loader=dict(init_cfg=dict(checkpoint='https://nowhere.invalid/pvt.pth')),
        bbox_head=[dict(init_cfg=[dict(type='Normal', std=0.01), pretrained]), dict(init_cfg=dict(type='Xavier'))],
        teacher_ckpt='https://nowhere.invalid/teacher.pth')
    left_out = drop_unreachable(model, downloads=False)
    assert model == dict(
        backbone=dict(init_cfg=None, pretrained=False),
        neck=dict(init_cfg=dict(type='Pretrained', checkpoint=str(here))),
        own_loader=dict(init_cfg=None),
        bbox_head=[dict(init_cfg=[dict(type='Normal', std=0.01)]), dict(init_cfg=dict(type='Xavier'))],
        teacher_ckpt=None)
    assert sorted(left_out) == ['https://huggingface.co/timm', 'https://nowhere.invalid/pvt.pth',
                                'https://nowhere.invalid/teacher.pth',
                                'torchvision://resnet18', 'torchvision://resnet18']


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


def test_a_host_that_does_not_answer():
    assert not is_reachable('https://nowhere.invalid/weights.pth')
