"""The same features on both sides: real models, small, with random weights and statistics."""
import pytest
import timm
import torch
import torchvision
from mmengine.registry import MODELS
from timm.models.convnext import ConvNeXt as TimmConvNeXt
from timm.models.resnet import BasicBlock, ResNet as TimmResNet
from timm.models.swin_transformer import SwinTransformer as TimmSwin
from torchvision.models.convnext import CNBlockConfig, ConvNeXt as VisionConvNeXt

from agssp_mm.checkpoints.conversion import convert_weights

WIDTHS, DEPTHS = (8, 16, 32, 64), (1, 1, 2, 1)
SWIN = dict(embed_dims=8, depths=DEPTHS, num_heads=(1, 2, 2, 4), window_size=2)


def mm(**config):
    return MODELS.build(config)


def randomise(model):
    """Random everything, so that a swapped pair of tensors cannot hide."""
    generator = torch.Generator().manual_seed(0)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            noise = torch.rand(value.shape, generator=generator)
            value.copy_(noise + 0.5 if 'var' in name else (noise - 0.5) * (0.5 if value.ndim > 1 else 1.0))
    model.eval()  # returns nothing in some models of MMDetection
    return model


def swin_levels(model, x):
    """Levels of a timm or torchvision Swin, the last one normalised: (N, C, H, W)."""
    if isinstance(model, TimmSwin):
        levels = model.forward_intermediates(x, intermediates_only=True)
        *early, last = [level.permute(0, 2, 3, 1) for level in levels]
    else:
        *early, last = [x := part(x) for part in model.features][1::2]
    return [level.permute(0, 3, 1, 2) for level in (*early, model.norm(last))]


def stage_levels(model, x):
    """Levels of torchvision's ResNet and ConvNeXt, and of timm's models."""
    if hasattr(model, 'features'):
        return [x := part(x) for part in model.features][1::2]
    if hasattr(model, 'forward_intermediates'):
        return model.forward_intermediates(x, intermediates_only=True)[-4:]
    x = model.maxpool(model.relu(model.bn1(model.conv1(x))))
    return [x := layer(x) for layer in (model.layer1, model.layer2, model.layer3, model.layer4)]


def mm_resnet(depth, variant='', library='mmdet'):
    return mm(type=f'{library}.ResNet{variant}', depth=depth, out_indices=(0, 1, 2, 3), norm_cfg=dict(type='BN'))


CASES = {
    'resnet18 torchvision': ('resnet', lambda: mm_resnet(18), lambda: torchvision.models.resnet18(num_classes=3)),
    'resnet18 timm': ('resnet', lambda: mm_resnet(18), lambda: TimmResNet(BasicBlock, (2, 2, 2, 2), num_classes=3)),
    'resnet50d timm': ('resnet', lambda: mm_resnet(50, 'V1d'), lambda: timm.create_model('resnet50d', num_classes=3)),
    'swin torchvision': ('swin', lambda: mm(type='mmdet.SwinTransformer', **SWIN), lambda: (
        torchvision.models.SwinTransformer([4, 4], 8, list(DEPTHS), [1, 2, 2, 4], [2, 2], num_classes=3))),
    'swin timm': ('swin', lambda: mm(type='mmdet.SwinTransformer', **SWIN), lambda: TimmSwin(
        img_size=128, embed_dim=8, depths=DEPTHS, num_heads=(1, 2, 2, 4), window_size=2, num_classes=3)),
    'convnext torchvision': ('convnext', lambda: convnext(), lambda: VisionConvNeXt(
        [CNBlockConfig(width, after, depth) for width, after, depth in zip(WIDTHS, (*WIDTHS[1:], None), DEPTHS)],
        num_classes=3)),
    'convnext timm': ('convnext', lambda: convnext(), lambda: TimmConvNeXt(
        depths=DEPTHS, dims=WIDTHS, num_classes=3)),
    'cspdarknet53 timm': ('cspdarknet53', lambda: mm(type='mmpretrain.CSPDarkNet', depth=53, out_indices=(1, 2, 3, 4)),
                          lambda: timm.create_model('cspdarknet53', num_classes=3)),
}


def convnext():
    return mm(type='mmpretrain.ConvNeXt', arch=dict(depths=DEPTHS, channels=WIDTHS), out_indices=(0, 1, 2, 3),
              gap_before_final_norm=False)


def features(model, x):
    """All levels, without the norms that only one side has."""
    name = type(model).__name__
    if name == 'SwinTransformer' and hasattr(model, 'stages'):
        model.norm0 = model.norm1 = model.norm2 = torch.nn.Identity()
        return model(x)
    if name == 'ConvNeXt' and hasattr(model, 'downsample_layers'):
        for level in range(4):
            setattr(model, f'norm{level}', torch.nn.Identity())
        return model(x)
    if name == 'SwinTransformer':
        return swin_levels(model, x)
    return model(x) if hasattr(model, 'out_indices') else stage_levels(model, x)


@pytest.mark.parametrize('case', CASES)
def test_both_sides_give_the_same_features(case):
    architecture, build_ours, build_theirs = CASES[case]
    library = case.split()[1]
    x = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    ours, theirs = randomise(build_ours()), randomise(build_theirs())
    there = convert_weights({f'backbone.{name}': value for name, value in ours.state_dict().items()}, 'mmdet', library)
    assert there.architecture == architecture and not there.unknown
    head = {name for name in theirs.state_dict() if name.startswith(('fc.', 'head.', 'classifier.'))}
    if architecture == 'convnext':
        head -= set(there.state)
    missing, unexpected = theirs.load_state_dict(there.state, strict=False)
    assert set(missing) == head - set(there.state) and unexpected == []

    back = convert_weights(theirs.state_dict(), library, 'mmdet')
    again = build_ours()
    again.eval()
    missing, unexpected = again.load_state_dict(
        {name.removeprefix('backbone.'): value for name, value in back.state.items()}, strict=False)
    assert {name.split('.')[0] for name in missing} <= {'norm0', 'norm1', 'norm2'} and unexpected == []
    with torch.no_grad():
        expected, given, returned = features(ours, x), features(theirs, x), features(again, x)
    assert len(expected) == len(given) == 4
    for level, other, once_more in zip(expected, given, returned):
        assert level.std() > 1e-3
        scale = level.abs().max()
        assert torch.allclose(level / scale, other / scale, atol=1e-5)
        assert torch.equal(level, once_more)


def test_mmpretrain_names_the_layers_of_a_deep_stem_differently():
    ours, theirs = randomise(mm_resnet(18, 'V1d')), mm_resnet(18, 'V1d', 'mmpretrain')
    there = convert_weights(ours.state_dict(), 'mmdet', 'mmpretrain')
    theirs.load_state_dict({name.removeprefix('backbone.'): value for name, value in there.state.items()})
    theirs.eval()
    x = torch.rand(1, 3, 64, 64)
    for level, other in zip(ours(x), theirs(x), strict=True):
        assert torch.equal(level, other)
    back = convert_weights(there.state, 'mmpretrain', 'mmdet').state
    assert set(back) == {f'backbone.{name}' for name in ours.state_dict()}


@pytest.mark.parametrize('config', [
    dict(type='mmdet.CSPDarknet', deepen_factor=0.33, widen_factor=0.125),
    dict(type='mmdet.CSPNeXt', deepen_factor=0.33, widen_factor=0.125),
    dict(type='mmdet.SwinTransformer', **SWIN),
    dict(type='mmpretrain.ConvNeXt', arch=dict(depths=DEPTHS, channels=WIDTHS)),
])
def test_what_both_of_our_libraries_share_keeps_every_tensor(config):
    state = mm(**config).state_dict()
    there = convert_weights({f'backbone.{name}': value for name, value in state.items()}, 'mmdet', 'mmpretrain')
    assert there.architecture == config['type'].split('.')[1].lower().removesuffix('transformer')
    assert {name.removeprefix('backbone.') for name in there.state} == set(state)
    assert all(torch.equal(there.state[f'backbone.{name}'], value) for name, value in state.items())


def test_a_classifier_goes_along_and_a_detector_leaves_its_other_parts():
    theirs = torchvision.models.resnet18(num_classes=3)
    classifier = convert_weights(theirs.state_dict(), 'torchvision', 'mmpretrain').state
    assert torch.equal(classifier['head.fc.weight'], theirs.fc.weight)
    detector = {**classifier, 'neck.lateral.weight': torch.zeros(1), 'bbox_head.fc.weight': torch.zeros(1)}
    again = convert_weights(detector, 'mmdet', 'torchvision')
    assert again.other_parts == ('neck.lateral.weight', 'bbox_head.fc.weight')
    assert set(again.state) == set(theirs.state_dict())
    assert 'head.fc.weight' not in convert_weights(theirs.state_dict(), 'torchvision', 'mmdet').state


def test_a_torchvision_detector_is_recognised_by_its_prefix():
    theirs = torchvision.models.detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=2)
    found = convert_weights(theirs.state_dict(), 'torchvision', 'mmdet')
    assert torch.equal(found.state['backbone.layer4.2.conv3.weight'], theirs.backbone.body.layer4[2].conv3.weight)
    wanted = {f'backbone.{name}' for name in mm_resnet(50).state_dict()}
    assert set(found.state) == wanted and 'rpn.head.cls_logits.weight' in found.other_parts


def test_timm_models_that_only_give_features_are_read():
    whole = timm.create_model('resnet18', num_classes=0).state_dict()
    swin = TimmSwin(img_size=128, embed_dim=8, depths=DEPTHS, num_heads=(1, 2, 2, 4), window_size=2).state_dict()
    flat = {name.replace('layers.', 'layers_', 1): value for name, value in swin.items()}
    assert set(convert_weights(flat, 'timm', 'mmdet').state) == set(convert_weights(swin, 'timm', 'mmdet').state)
    assert 'backbone.layer1.0.conv1.weight' in convert_weights(whole, 'timm', 'mmdet').state


# Detectron2 is not there to be built; its names are those of its own modeling/backbone/{resnet,swin}.py.
def test_detectron2_names_of_a_resnet():
    state = mm_resnet(50).state_dict()
    there = convert_weights(state, 'mmdet', 'detectron2').state
    blocks = {f'res{stage}.{block}' for stage, count in zip((2, 3, 4, 5), (3, 4, 6, 3)) for block in range(count)}
    layers = {f'{block}.conv{number}' for block in blocks for number in (1, 2, 3)}
    layers |= {f'res{stage}.0.shortcut' for stage in (2, 3, 4, 5)} | {'stem.conv1'}
    norms = ('weight', 'bias', 'running_mean', 'running_var')
    assert set(there) == {f'{layer}.weight' for layer in layers} | {
        f'{layer}.norm.{norm}' for layer in layers for norm in norms}
    assert torch.equal(there['res3.0.shortcut.weight'], state['layer2.0.downsample.0.weight'])
    assert torch.equal(there['res5.2.conv3.norm.running_var'], state['layer4.2.bn3.running_var'])
    whole = {f'backbone.bottom_up.{name}': value for name, value in there.items()}
    back = convert_weights(whole, 'detectron2', 'mmdet')
    assert all(torch.equal(value, state[name.removeprefix('backbone.')]) for name, value in back.state.items())
    assert len(back.state) == len(there)


def test_detectron2_names_of_a_swin():
    ours = randomise(mm(type='mmdet.SwinTransformer', **SWIN))
    there = convert_weights(ours.state_dict(), 'mmdet', 'detectron2').state
    block = {f'layers.2.blocks.1.{name}' for name in (
        'norm1.weight', 'norm1.bias', 'attn.relative_position_bias_table', 'attn.relative_position_index',
        'attn.qkv.weight', 'attn.qkv.bias', 'attn.proj.weight', 'attn.proj.bias', 'norm2.weight', 'norm2.bias',
        'mlp.fc1.weight', 'mlp.fc1.bias', 'mlp.fc2.weight', 'mlp.fc2.bias')}
    assert {name for name in there if name.startswith('layers.2.blocks.1.')} == block
    assert {name for name in there if 'blocks' not in name} == {
        *(f'layers.{stage}.downsample.{name}' for stage in (0, 1, 2) for name in (
            'norm.weight', 'norm.bias', 'reduction.weight')),
        *(f'{layer}.{kind}' for kind in ('weight', 'bias') for layer in (
            'patch_embed.proj', 'patch_embed.norm', 'norm0', 'norm1', 'norm2', 'norm3'))}
    # The merged channels stand as in timm, whose features are compared above.
    merged = convert_weights(ours.state_dict(), 'mmdet', 'timm').state['layers.1.downsample.reduction.weight']
    assert torch.equal(there['layers.0.downsample.reduction.weight'], merged)
    again = convert_weights(there, 'detectron2', 'mmdet').state
    assert all(torch.equal(again[f'backbone.{name}'], value) for name, value in ours.state_dict().items())


@pytest.mark.parametrize('state, source, target, more, message', [
    (dict(conv1=0), 'keras', 'mmdet', {}, 'source must be one of mmdet, .* got .keras.'),
    (dict(conv1=0), 'mmdet', 'timm', dict(architecture='vgg'), 'architecture must be one of resnet, '),
    (dict(a=0, b=0), 'timm', 'mmdet', {}, 'none of the 2 tensors has a name that timm gives in resnet, swin'),
    ({'backbone.stage1.0.conv.weight': 0}, 'mmdet', 'timm', {}, 'timm has no csp'),
    ({}, 'mmdet', 'timm', {}, 'none of the 0 tensors'),
])
def test_what_cannot_be_converted_is_refused(state, source, target, more, message):
    with pytest.raises(ValueError, match=message):
        convert_weights({name: torch.zeros(1) for name in state}, source, target, **more)


def test_a_variant_that_the_target_lacks_is_refused_unless_allowed():
    state = mm_resnet(18, 'V1d').state_dict()
    with pytest.raises(ValueError, match='tensors of this resnet have no place in torchvision: stem.0.weight'):
        convert_weights(state, 'mmdet', 'torchvision')
    part = convert_weights(state, 'mmdet', 'torchvision', allow_partial=True)
    assert 'layer1.0.conv1.weight' in part.state and 'stem.0.weight' in part.homeless
    unknown = {**mm_resnet(18).state_dict(), 'layer1.0.attention.weight': torch.zeros(1)}
    with pytest.raises(ValueError, match='1 tensors of this resnet .*layer1.0.attention.weight'):
        convert_weights(unknown, 'mmdet', 'timm')
    assert convert_weights(unknown, 'mmdet', 'timm', allow_partial=True).unknown == ('layer1.0.attention.weight',)


def test_the_names_of_the_inner_norms_of_a_swin_are_left_out_with_the_reason():
    there = convert_weights(mm(type='mmdet.SwinTransformer', **SWIN).state_dict(), 'mmdet', 'timm')
    assert set(there.homeless) >= {'norm0.weight', 'norm2.bias'} and 'last level only' in there.homeless['norm0.weight']
    assert 'attention window' in there.note
