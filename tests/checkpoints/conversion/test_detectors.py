"""Whole detectors: the same pyramid and the same outputs of the heads on both sides; real models of ResNet-50."""
import pytest
import torch
from mmengine.hub import get_config
from mmengine.registry import MODELS
from torchvision.models import detection
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.image_list import ImageList
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from agssp_mm.checkpoints.conversion import convert_weights

CLASSES = 3
SOURCES = {'faster_rcnn': 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
           'mask_rcnn': 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', 'retinanet': 'retinanet/retinanet_r50_fpn_1x_coco.py'}


def build(name, **neck):
    """MMDetection's, as its config has it, with random weights and statistics."""
    model = get_config(f'mmdet::{SOURCES[name]}').model
    model.backbone.init_cfg = None
    model.neck.update(neck)
    heads = [model.bbox_head] if name == 'retinanet' else [model.roi_head.bbox_head]
    heads += [model.roi_head.mask_head] if name == 'mask_rcnn' else []
    for head in heads:
        head.num_classes = CLASSES
    torch.manual_seed(0)
    return randomise(MODELS.build(dict(model, _scope_='mmdet')))


def randomise(model):
    """Everything differs, and features neither vanish nor explode."""
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            if 'running_var' in name:
                value.uniform_(0.5, 1.5)
            elif value.ndim > 1:
                value.normal_(0, (2 / value[0].numel()) ** 0.5)
            else:
                value.normal_(0, 0.1).add_(0.5 if 'bn' in name and name.endswith('weight') else 0.0)
    model.eval()
    return model


def in_torchvision(ours, builder, **options):
    """Their model with our weights, every name of it filled."""
    theirs = builder(weights=None, weights_backbone=None, num_classes=CLASSES + 1, **options)
    found = convert_weights(ours.state_dict(), 'mmdet', 'torchvision', part='detector')
    assert not (found.unknown or found.homeless or found.other_parts)
    theirs.load_state_dict(found.state, strict=True)
    theirs.eval()
    return theirs, found


def assert_same(found, wanted):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape
        assert (one - other).abs().max() <= 1e-5 * other.abs().max()


def comes_back(ours, found, library):
    """The way back gives every tensor of our model, bit for bit."""
    back = convert_weights(found.state, library, 'mmdet', part='detector').state
    mine = {name: value for name, value in ours.state_dict().items()
            if library != 'detectron2' or not name.endswith('num_batches_tracked')}
    assert set(back) == set(mine)
    assert all(torch.equal(value, mine[name]) for name, value in back.items())


def picture():
    return torch.rand(1, 3, 128, 256, generator=torch.Generator().manual_seed(1)) - 0.5


OLD_NAMES = (('_blocks.{}.0.', '_blocks.{}.', range(4)), ('rpn.head.conv.0.0.', 'rpn.head.conv.', [0]),
             ('roi_heads.mask_head.{}.0.', 'roi_heads.mask_head.mask_fcn{}.', range(4)),
             ('head.classification_head.conv.{}.0.', 'head.classification_head.conv.{}.', range(4)),
             ('head.regression_head.conv.{}.0.', 'head.regression_head.conv.{}.', range(4)))


def named_as_before_0_13(state):
    """As in the files that torchvision published then."""
    renamed = {}
    for name, value in state.items():
        for new, old, places in OLD_NAMES:
            for place in places:
                number = place + 1 if 'mask' in old else 2 * place if 'conv.{}' in old else place
                if new.format(place) in name and 'extra' not in name:
                    name = name.replace(new.format(place), old.format(number))
                    break
        renamed[name] = value
    return renamed


@pytest.mark.parametrize('builder', [detection.fasterrcnn_resnet50_fpn, detection.maskrcnn_resnet50_fpn,
                                     detection.retinanet_resnet50_fpn])
def test_the_older_names_of_torchvision(builder):
    model = builder(weights=None, weights_backbone=None, num_classes=CLASSES + 1)
    state = model.state_dict()
    old = named_as_before_0_13(state)
    # torchvision itself takes them, so they are what it wrote once
    assert set(old) != set(state) and model.load_state_dict(dict(old)).missing_keys == []
    found, wanted = (convert_weights(one, 'torchvision', 'mmdet', part='detector').state for one in (old, state))
    assert set(found) == set(wanted) and all(torch.equal(value, wanted[name]) for name, value in found.items())


@torch.no_grad()
@pytest.mark.parametrize('name', ['faster_rcnn', pytest.param('mask_rcnn', marks=pytest.mark.slow)])
def test_two_stage_detectors_in_torchvision(name):
    ours = build(name)
    builder = detection.fasterrcnn_resnet50_fpn if name == 'faster_rcnn' else detection.maskrcnn_resnet50_fpn
    theirs, found = in_torchvision(ours, builder)
    assert found.architecture == 'faster_rcnn'
    levels = ours.extract_feat(picture())
    assert_same(list(theirs.backbone(picture()).values()), levels)
    assert_same([one for part in theirs.rpn.head(list(levels)) for one in part],
                [one for part in ours.rpn_head(levels) for one in part])
    regions = torch.randn(5, 256, 7, 7, generator=torch.Generator().manual_seed(2))
    scores, boxes = theirs.roi_heads.box_predictor(theirs.roi_heads.box_head(regions))
    our_scores, our_boxes = ours.roi_head.bbox_head(regions)
    assert_same([scores[:, [1, 2, 3, 0]], boxes[:, 4:]], [our_scores, our_boxes])
    if name == 'mask_rcnn':
        regions = torch.randn(2, 256, 14, 14, generator=torch.Generator().manual_seed(3))
        masks = theirs.roi_heads.mask_predictor(theirs.roi_heads.mask_head(regions))
        assert_same([masks[:, 1:]], [ours.roi_head.mask_head(regions)])
    comes_back(ours, found, 'torchvision')


@pytest.mark.slow
@torch.no_grad()
def test_two_stage_detectors_find_the_same_regions_in_torchvision():
    """The whole region proposal: anchors, their order, and how boxes are coded."""
    ours = build('faster_rcnn')
    theirs, _ = in_torchvision(ours, detection.fasterrcnn_resnet50_fpn)
    levels = ours.extract_feat(picture())
    _, deltas = ours.rpn_head(levels)
    sizes = [level.shape[-2:] for level in levels]
    anchors = torch.cat(ours.rpn_head.prior_generator.grid_priors(sizes, device='cpu'))
    their_anchors = theirs.rpn.anchor_generator(ImageList(picture(), [(128, 256)]),
                                                list(levels))[0]
    assert (anchors - their_anchors).abs().max() <= 0.5  # torchvision rounds them to whole pixels
    flat = torch.cat([one.permute(0, 2, 3, 1).reshape(-1, 4) for one in deltas])
    decoded = ours.rpn_head.bbox_coder.decode(their_anchors, flat)
    assert_same([theirs.rpn.box_coder.decode(flat, [their_anchors])[:, 0]], [decoded])


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize('builder, neck', [
    (detection.retinanet_resnet50_fpn, dict(add_extra_convs='on_output')),
    pytest.param(None, {}, id='levels as published')])
def test_retinanet_in_torchvision(builder, neck):
    ours = build('retinanet', relu_before_extra_convs=True, **neck)
    if builder is None:  # P6 from C5, as retinanet_resnet50_fpn_v2 does; but that has norms in its heads
        builder = _with_p6_from_c5
    theirs, found = in_torchvision(ours, builder)
    assert found.architecture == 'retinanet' and 'relu_before_extra_convs=True' in found.note
    levels = ours.extract_feat(picture())
    assert_same(list(theirs.backbone(picture()).values()), levels)
    outputs = theirs.head(list(levels))
    scores, boxes = ours.bbox_head(levels)
    flat = [torch.cat([one.permute(0, 2, 3, 1).reshape(1, -1, values) for one in part], dim=1)
            for part, values in ((scores, CLASSES), (boxes, 4))]
    assert_same([outputs['cls_logits'][..., 1:], outputs['bbox_regression']], flat)
    assert outputs['cls_logits'][..., 0].unique().tolist() == [-20.0]  # label 0 is never found
    sizes = [level.shape[-2:] for level in levels]
    anchors = torch.cat(ours.bbox_head.prior_generator.grid_priors(sizes, device='cpu'))
    images = ImageList(picture(), [(128, 256)])
    # torchvision cuts sizes and rounds corners to whole pixels
    assert (theirs.anchor_generator(images, list(levels))[0] - anchors).abs().max() <= 1.5
    comes_back(ours, found, 'torchvision')


def _with_p6_from_c5(weights, weights_backbone, num_classes):
    model = detection.retinanet_resnet50_fpn(
        weights=weights, weights_backbone=weights_backbone, num_classes=num_classes)
    model.backbone = resnet_fpn_backbone(backbone_name='resnet50', weights=None, returned_layers=[2, 3, 4],
                                         extra_blocks=LastLevelP6P7(2048, 256), norm_layer=torch.nn.BatchNorm2d)
    return model


@pytest.mark.slow
def test_the_second_retinanet_of_torchvision_has_norms_in_its_towers():
    model = get_config(f'mmdet::{SOURCES["retinanet"]}').model
    model.backbone.init_cfg = None
    model.neck.relu_before_extra_convs = True
    model.bbox_head.update(num_classes=CLASSES, norm_cfg=dict(type='GN', num_groups=32))
    ours = randomise(MODELS.build(dict(model, _scope_='mmdet')))
    theirs, found = in_torchvision(ours, detection.retinanet_resnet50_fpn_v2)
    with torch.no_grad():
        levels = ours.extract_feat(picture())
        assert_same(list(theirs.backbone(picture()).values()), levels)
        wanted = torch.cat([one.permute(0, 2, 3, 1).reshape(1, -1, 4) for one in ours.bbox_head(levels)[1]], dim=1)
        assert_same([theirs.head(list(levels))['bbox_regression']], [wanted])
    comes_back(ours, found, 'torchvision')


# Detectron2 is not there to be built; its names are those of its modeling/{backbone/fpn,meta_arch/retinanet,
# proposal_generator/rpn,roi_heads/box_head,roi_heads/fast_rcnn,roi_heads/mask_head}.py.
def names_of(*layers):
    return {f'{layer}.{kind}' for layer in layers for kind in ('weight', 'bias')}


def outside_backbone(found):
    assert {name for name in found.state if name.startswith('backbone.bottom_up.')} == {
        f'backbone.bottom_up.{name.removeprefix("backbone.")}'
        for name in convert_weights(found.state, 'detectron2', 'detectron2').state}
    assert not (found.unknown or found.homeless)
    return {name: value for name, value in found.state.items() if 'bottom_up' not in name}


def test_detectron2_names_of_a_mask_rcnn():
    ours = build('mask_rcnn')
    found = convert_weights(ours.state_dict(), 'mmdet', 'detectron2', part='detector')
    there = outside_backbone(found)
    assert set(there) == names_of(
        *(f'backbone.fpn_{kind}{level}' for kind in ('lateral', 'output') for level in (2, 3, 4, 5)),
        *(f'proposal_generator.rpn_head.{layer}' for layer in ('conv', 'objectness_logits', 'anchor_deltas')),
        *(f'roi_heads.box_head.fc{index}' for index in (1, 2)), 'roi_heads.box_predictor.cls_score',
        'roi_heads.box_predictor.bbox_pred', *(f'roi_heads.mask_head.mask_fcn{index}' for index in (1, 2, 3, 4)),
        'roi_heads.mask_head.deconv', 'roi_heads.mask_head.predictor')
    shapes = {name: tuple(there[f'roi_heads.{name}.weight'].shape) for name in (
        'box_head.fc1', 'box_predictor.cls_score', 'box_predictor.bbox_pred', 'mask_head.predictor')}
    assert shapes == {'box_head.fc1': (1024, 256 * 49), 'box_predictor.cls_score': (CLASSES + 1, 1024),
                      'box_predictor.bbox_pred': (4 * CLASSES, 1024), 'mask_head.predictor': (CLASSES, 256, 1, 1)}
    assert torch.equal(there['backbone.fpn_output3.weight'], ours.neck.fpn_convs[1].conv.weight)
    comes_back(ours, found, 'detectron2')


def test_detectron2_names_and_anchors_of_a_retinanet():
    ours = build('retinanet')
    found = convert_weights(ours.state_dict(), 'mmdet', 'detectron2', part='detector')
    there = outside_backbone(found)
    assert set(there) == names_of(
        *(f'backbone.fpn_{kind}{level}' for kind in ('lateral', 'output') for level in (3, 4, 5)),
        'backbone.top_block.p6', 'backbone.top_block.p7', 'head.cls_score', 'head.bbox_pred',
        *(f'head.{tower}_subnet.{index}' for tower in ('cls', 'bbox') for index in (0, 2, 4, 6)))
    assert tuple(there['backbone.top_block.p6.weight'].shape) == (256, 2048, 3, 3)
    assert torch.equal(there['head.bbox_subnet.4.bias'], ours.bbox_head.reg_convs[2].conv.bias)
    # Theirs: for each size, for each ratio; channel a * K + k of the scores belongs to anchor a and class k.
    sizes = [32 * 2 ** (step / 3) for step in range(3)]
    theirs = torch.tensor([[size / ratio ** 0.5, size * ratio ** 0.5] for size in sizes for ratio in (0.5, 1.0, 2.0)])
    anchors = ours.bbox_head.prior_generator.base_anchors[0]
    order = [int((anchors[:, 2:] - anchors[:, :2] - one).abs().sum(1).argmin()) for one in theirs]
    assert sorted(order) == list(range(9)) and order != sorted(order)
    assert torch.equal(there['head.cls_score.bias'].view(9, CLASSES), ours.bbox_head.retina_cls.bias.view(9, -1)[order])
    assert torch.equal(there['head.bbox_pred.weight'].view(9, 4, 256, 3, 3),
                       ours.bbox_head.retina_reg.weight.view(9, 4, 256, 3, 3)[order])
    comes_back(ours, found, 'detectron2')


@pytest.mark.parametrize('change, target, message', [
    (lambda state: {f'model.{name}': value for name, value in state.items()}, 'torchvision', 'none of the .* tensors'),
    (lambda state: {**state, 'bbox_head.atss_centerness.weight': torch.zeros(1)}, 'torchvision',
     '1 tensors of this retinanet have no place in torchvision: bbox_head.atss_centerness.weight. It is another model'),
    (lambda state: {**state, 'bbox_head.retina_reg.bias': torch.zeros(4)}, 'detectron2', '1 anchors per place'),
    (dict, 'mmpretrain', 'mmpretrain has no retinanet; it can be converted to mmdet, torchvision, detectron2'),
])
def test_detectors_that_the_other_library_lacks_are_refused(change, target, message):
    state = {'bbox_head.retina_reg.bias': torch.zeros(36), 'bbox_head.retina_reg.weight': torch.zeros(36, 1, 1, 1)}
    with pytest.raises(ValueError, match=message):
        convert_weights(change(state), 'mmdet', target, part='detector')


def test_boxes_shared_by_all_classes_are_refused():
    state = {f'roi_head.bbox_head.{layer}.weight': torch.zeros(4, 8) for layer in ('fc_cls', 'fc_reg')}
    for target in ('torchvision', 'detectron2'):
        with pytest.raises(ValueError, match='reg_class_agnostic'):
            convert_weights(state, 'mmdet', target, part='detector')


def test_a_detector_under_the_names_of_timm_is_refused():
    with pytest.raises(ValueError, match='timm has no retinanet or faster_rcnn'):
        convert_weights({'a': torch.zeros(1)}, 'timm', 'mmdet', part='detector')
    with pytest.raises(ValueError, match='part must be one of backbone, detector, got .neck.'):
        convert_weights({'a': torch.zeros(1)}, 'timm', 'mmdet', part='neck')
