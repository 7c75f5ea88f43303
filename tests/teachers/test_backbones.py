"""Backbones of every library, small and with random weights."""
import pytest
import torch
from torch import nn

from agssp_mm.teachers.backbones import FrozenBackbone, check_backbone
from agssp_mm.teachers.patch_features import PatchFeatures
from agssp_mm.teachers.token_grids import to_grid

timm = pytest.importorskip('timm')
IMAGE = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def frozen(name, levels, **more):
    library, name = name.split('::')
    return FrozenBackbone(check_backbone(dict(library=library, name=name, weights='random', **more)), levels)


@pytest.mark.parametrize('name, levels, shapes', [
    ('timm::test_resnet', (1, 2), [(32, 16, 24), (48, 8, 12)]),
    ('timm::test_resnet', ('layer1', 'layer2'), [(32, 16, 24), (48, 8, 12)]),
    ('timm::test_vit', (0, -1), [(64, 4, 6), (64, 4, 6)]),
    ('timm::test_vit', ('blocks.0', 'norm'), [(64, 4, 6), (64, 4, 6)]),
    ('torchvision::mobilenet_v3_small', ('features.1', 'features.3'), [(16, 16, 24), (24, 8, 12)]),
])
def test_levels_by_number_and_by_module(name, levels, shapes):
    backbone = frozen(name, levels)
    outputs = backbone(IMAGE)
    assert [tuple(one.shape[1:]) for one in outputs] == shapes
    assert not any(module._forward_hooks for module in backbone.modules())
    assert all(torch.equal(a, b) for a, b in zip(outputs, frozen(name, levels)(IMAGE)))  # random, but always the same


def load_test_resnet(path):
    return FrozenBackbone(check_backbone(dict(library='timm', name='test_resnet', weights=str(path))), (1, ))


def test_numbered_levels_are_those_modules():
    by_number, by_name = (frozen('timm::test_resnet', levels)(IMAGE) for levels in ((1, 2), ('layer1', 'layer2')))
    assert all(torch.equal(a, b) for a, b in zip(by_number, by_name))


def test_tokens_lie_where_their_patches_are():
    backbone = frozen('timm::test_vit', ('patch_embed', ))
    tokens = backbone.model.patch_embed(IMAGE)
    grid = backbone(IMAGE)[0]
    assert grid.shape[-2:] == (4, 6)
    assert torch.equal(grid[:, :, 1, 2], tokens[:, 1, 2] if tokens.ndim == 4 else tokens[:, 8])


@pytest.mark.slow
def test_mmpretrain_by_name_and_dinov2_through_timm():
    pytest.importorskip('mmpretrain')
    outputs = frozen('mmpretrain::resnet18_8xb32_in1k', (0, 2))(IMAGE)
    assert [tuple(one.shape[1:]) for one in outputs] == [(64, 16, 24), (256, 4, 6)]
    backbone = frozen('timm::vit_small_patch14_dinov2', (-4, -1))
    assert backbone.multiple == 14 and backbone.mean == pytest.approx((123.675, 116.28, 103.53))
    features = PatchFeatures(dict(library='timm', name='vit_small_patch14_dinov2', weights='random'), (-1, ), 100)
    image = (IMAGE[0].permute(1, 2, 0) * 255).byte().numpy()
    assert features(image).shape == (5, 7, 384)


def test_local_weights_fill_the_whole_model(tmp_path):
    torch.manual_seed(5)
    model = timm.create_model('test_resnet', pretrained=False).eval()
    state = {f'module.{name}': value for name, value in model.state_dict().items()}
    torch.save({'state_dict': state}, tmp_path / 'w.pth')
    loaded = load_test_resnet(tmp_path / 'w.pth')
    expected = model.forward_intermediates(IMAGE, indices=[1], intermediates_only=True)[0]
    assert torch.allclose(loaded(IMAGE)[0], expected, atol=1e-5)


@pytest.mark.parametrize('content, message', [
    (lambda: timm.create_model('test_vit').state_dict(), 'do not fit'),
    (lambda: {'conv1.weight': torch.zeros(3)}, 'do not fit'),
    (lambda: {'epoch': 3}, 'holds no tensors'),
    (lambda: {'x': nn.Linear(1, 1)}, 'read safely'),
])
def test_weights_that_do_not_fit_are_refused(tmp_path, content, message):
    torch.save(content(), tmp_path / 'w.pth')
    with pytest.raises(ValueError, match=message):
        load_test_resnet(tmp_path / 'w.pth')


@pytest.mark.parametrize('backbone, levels, message', [
    ('timm::no_such_model', (1, ), 'timm has no model'),
    ('torchvision::no_such_model', ('x', ), 'torchvision has no model'),
    ('torchvision::resnet18', (1, ), 'name modules'),
    ('timm::test_resnet', ('layer9', ), "has no modules .'layer9'"),
    ('timm::test_resnet', ('layer1', 2), 'not both'),
    ('keras::resnet', (1, ), 'is none; give'),
    ('resnet18', (1, ), 'is none; give'),
    (dict(library='timm', name='test_resnet', wait=1), (1, ), 'is none; give'),
])
def test_unknown_backbones_and_levels_are_named(backbone, levels, message):
    with pytest.raises(ValueError, match=message):
        FrozenBackbone(dict(check_backbone(backbone), weights='random'), levels)


def test_missing_weights_and_levels(tmp_path):
    with pytest.raises(FileNotFoundError, match='no weights at'):
        load_test_resnet('nowhere.pth')
    with pytest.raises(ValueError, match='has no levels'):
        frozen('timm::test_resnet', (9, ))(IMAGE)
    with pytest.raises(ValueError, match='is no grid of features'):
        frozen('timm::test_vit', ('head', ))(IMAGE)


def test_grids_are_told_by_the_shape_of_the_image():
    assert to_grid(torch.zeros(1, 8, 4, 6), (64, 96), 0).shape == (1, 8, 4, 6)
    assert to_grid((torch.zeros(1, 4, 6, 8), ), (64, 96), 0).shape == (1, 8, 4, 6)
    # A strip narrower than the stride of 32.
    assert to_grid(torch.zeros(1, 8, 1, 13), (20, 416), 0).shape == (1, 8, 1, 13)
    assert to_grid(torch.zeros(1, 13, 1, 8), (416, 20), 0).shape == (1, 8, 13, 1)
    tokens = torch.arange(1 + 24.0).reshape(1, 25, 1)
    assert to_grid(tokens, (64, 96), 0)[0, 0].flatten().tolist() == list(range(1, 25))
    with pytest.raises(ValueError, match='no grid'):
        to_grid(torch.zeros(1, 8), (64, 96), 0)
