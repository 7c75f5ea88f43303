"""RetinaNet, Faster and Mask R-CNN over a ResNet with FPN, whole: backbone, neck and heads."""
import re
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from agssp_mm.checkpoints.conversion.names import Architecture, Names, Rule, State
from agssp_mm.checkpoints.conversion.resnet import RESNET

_CLS, _REG = 'bbox_head.retina_cls', 'bbox_head.retina_reg'
_BOXES, _CLASSES = 'roi_head.bbox_head.fc_reg.weight', 'roi_head.bbox_head.fc_cls.weight'
_NO_BACKGROUND = -20.0  # what torchvision keeps for a background scores 2e-9, and is never found
_SCALES, _RATIOS = 3, 3
_TORCHVISION_NOTE = (
    'torchvision counts a background: num_classes is one more than in MMDetection, and label 1 is its class 0. It '
    'takes RGB from 0 to 1: mean and std of the config divided by 255, as image_mean and image_std. The features are '
    "the same with a backbone of style='pytorch', and {}")
_DETECTRON2_NOTE = (
    "Detectron2 needs cfg.MODEL.RESNETS.STRIDE_IN_1X1 = False for weights of style='pytorch', the number of classes, "
    'and the colour order, mean and std that the weights were trained with')
_P7_NOTE = ('relu_before_extra_convs=True in the FPN of MMDetection: its published configs compute P7 without the ReLU '
            'that the other side has, and P6 from C5 (add_extra_convs=on_input) as {}')


def _over_resnet(library: str, prefix: str, rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules of a detector, and before them those of its backbone."""
    backbone = (rule for rule in RESNET.libraries[library].rules if not rule.ours.startswith(('head.', 'stem.')))
    return (*(Rule(f'backbone.{rule.ours}', f'{prefix}{rule.theirs or rule.ours}') for rule in backbone), *rules)


def _fpn_of_detectron2(first_level: int, num_levels: int) -> list[Rule]:
    return [Rule(f'neck.{ours}_convs.{index}.conv.*', f'backbone.fpn_{theirs}{first_level + index}.*')
            for index in range(num_levels) for ours, theirs in (('lateral', 'lateral'), ('fpn', 'output'))]


def _add_background_first(rows: int) -> Callable[[Tensor], Tensor]:
    return lambda tensor: torch.cat([tensor.new_zeros(rows, *tensor.shape[1:]), tensor])


def _drop_first(rows: int) -> Callable[[Tensor], Tensor]:
    return lambda tensor: tensor[rows:]


def _background_to_front(tensor: Tensor) -> Tensor:
    return tensor.roll(1, dims=0)


def _background_to_end(tensor: Tensor) -> Tensor:
    return tensor.roll(-1, dims=0)


def _per_anchor(state: State, change: Callable[[Tensor, str], Tensor], layers: tuple[str, ...]) -> State:
    """Change output layers of RetinaNet, seen as (anchors, values per anchor, ...)."""
    if f'{_REG}.bias' not in state:
        return state
    anchors = len(state[f'{_REG}.bias']) // 4
    changed = {name: change(state[name].reshape(anchors, -1, *state[name].shape[1:]), kind).flatten(0, 1)
               for layer in layers for kind in ('weight', 'bias') if (name := f'{layer}.{kind}') in state}
    return {**state, **changed}


def _add_unused_class(state: State) -> State:
    """torchvision labels from 1 on, and computes a score for label 0 that no box is ever trained to have."""
    def change(tensor: Tensor, kind: str) -> Tensor:
        background = tensor.new_full((len(tensor), 1, *tensor.shape[2:]), 0.0 if kind == 'weight' else _NO_BACKGROUND)
        return torch.cat([background, tensor], dim=1)

    return _per_anchor(state, change, (_CLS, ))


def _drop_unused_class(state: State) -> State:
    return _per_anchor(state, lambda tensor, _: tensor[:, 1:], (_CLS, ))


def _swap_anchor_order(state: State) -> State:
    """Anchors of one place by ratio, then scale, become by scale, then ratio; and back."""
    def change(tensor: Tensor, _: str) -> Tensor:
        if len(tensor) != _SCALES * _RATIOS:
            raise ValueError(f'this RetinaNet has {len(tensor)} anchors per place; which of them is which in '
                             f'Detectron2 is known for {_SCALES} scales of {_RATIOS} ratios only')
        return tensor.unflatten(0, (_RATIOS, _SCALES)).transpose(0, 1).flatten(0, 1)

    return _per_anchor(state, change, (_CLS, _REG))


def _refuse_shared_boxes(state: State) -> State:
    """Both other libraries predict a box per class."""
    if _BOXES in state and len(state[_BOXES]) != 4 * (len(state[_CLASSES]) - 1):
        raise ValueError('this detector predicts one box for all classes (reg_class_agnostic), which the other library '
                         'does not do that way; export its backbone instead')
    return state


def _refuse_shared_boxes_and_drop_counts(state: State) -> State:
    return RESNET.libraries['detectron2'].to_theirs(_refuse_shared_boxes(state))


def _swap_and_drop_counts(state: State) -> State:
    return RESNET.libraries['detectron2'].to_theirs(_swap_anchor_order(state))


#: What torchvision called these layers before 0.13, as its published files still do; it renames them when it loads.
_OLD_NAMES = (
    (r'^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$', r'\1.0.\2'),
    (r'^rpn\.head\.conv\.(weight|bias)$', r'rpn.head.conv.0.0.\1'),
    (r'^(head\.(?:classification|regression)_head\.conv)\.(\d+)\.(weight|bias)$',
     lambda found: f'{found[1]}.{int(found[2]) // 2}.0.{found[3]}'),
    (r'^(roi_heads\.mask_head)\.mask_fcn(\d+)\.(weight|bias)$',
     lambda found: f'{found[1]}.{int(found[2]) - 1}.0.{found[3]}'))


def with_new_names(state: Mapping[str, Tensor]) -> State:
    """A detector of torchvision under the names of torchvision 0.13 and later, whichever it had."""
    renamed: State = {}
    for name, value in state.items():
        for pattern, new in _OLD_NAMES:
            name = re.sub(pattern, new, name)
        renamed[name] = value
    return renamed


_IGNORED_BY_US = ('pixel_mean', 'pixel_std', 'anchor_generator.cell_anchors.#',
                  'proposal_generator.anchor_generator.cell_anchors.#')
_OUR_FPN = (Rule('neck.lateral_convs.#.conv.*'), Rule('neck.fpn_convs.#.conv.*'))
_FPN_TORCHVISION = (Rule('neck.lateral_convs.#.conv.*', 'backbone.fpn.inner_blocks.#.0.*'),
                    Rule('neck.fpn_convs.#.conv.*', 'backbone.fpn.layer_blocks.#.0.*'))

_RETINANET_HEAD = (Rule('bbox_head.cls_convs.#.conv.*'), Rule('bbox_head.reg_convs.#.conv.*'),
                   Rule('bbox_head.cls_convs.#.gn.*'), Rule('bbox_head.reg_convs.#.gn.*'),
                   Rule(f'{_CLS}.*'), Rule(f'{_REG}.*'))
_RETINANET_TORCHVISION = (
    *(Rule(f'neck.fpn_convs.{index}.conv.*', f'backbone.fpn.extra_blocks.p{index + 3}.*') for index in (3, 4)),
    *_FPN_TORCHVISION,
    *(Rule(f'bbox_head.{ours}_convs.#.{layer}.*', f'head.{theirs}_head.conv.#.{place}.*')
      for ours, theirs in (('cls', 'classification'), ('reg', 'regression'))
      for place, layer in enumerate(('conv', 'gn'))),
    Rule(f'{_CLS}.*', 'head.classification_head.cls_logits.*'), Rule(f'{_REG}.*', 'head.regression_head.bbox_reg.*'))
# Its towers are lists of convolution and ReLU in turn.
_RETINANET_DETECTRON2 = (
    *_fpn_of_detectron2(3, 3),
    *(Rule(f'neck.fpn_convs.{index}.conv.*', f'backbone.top_block.p{index + 3}.*') for index in (3, 4)),
    *(Rule(f'bbox_head.{ours}_convs.{index}.conv.*', f'head.{theirs}_subnet.{2 * index}.*')
      for ours, theirs in (('cls', 'cls'), ('reg', 'bbox')) for index in range(4)),
    Rule(f'{_CLS}.*', 'head.cls_score.*'), Rule(f'{_REG}.*', 'head.bbox_pred.*'))

RETINANET = Architecture('retinanet', {
    'mmdet': Names(_over_resnet('mmdet', 'backbone.', (*_OUR_FPN, *_RETINANET_HEAD))),
    'torchvision': Names(
        _over_resnet('torchvision', 'backbone.body.', _RETINANET_TORCHVISION), to_theirs=_add_unused_class,
        to_ours=_drop_unused_class,
        note=_TORCHVISION_NOTE.format(_P7_NOTE.format('retinanet_resnet50_fpn_v2; retinanet_resnet50_fpn takes P5, '
                                                      'on_output'))),
    'detectron2': Names(
        _over_resnet('detectron2', 'backbone.bottom_up.', _RETINANET_DETECTRON2), ignored=_IGNORED_BY_US,
        to_theirs=_swap_and_drop_counts, to_ours=_swap_anchor_order,
        note=f'{_DETECTRON2_NOTE}, and {_P7_NOTE.format("Detectron2")}'),
})

_RPN = ('conv', 'cls', 'reg')
_RCNN_HEADS = (*(Rule(f'rpn_head.rpn_{layer}.*') for layer in _RPN), Rule('roi_head.bbox_head.shared_fcs.#.*'),
               Rule('roi_head.bbox_head.fc_cls.*'), Rule('roi_head.bbox_head.fc_reg.*'),
               Rule('roi_head.mask_head.convs.#.conv.*'), Rule('roi_head.mask_head.upsample.*'),
               Rule('roi_head.mask_head.conv_logits.*'))
_RCNN_TORCHVISION = (
    *_FPN_TORCHVISION,
    *(Rule(f'rpn_head.rpn_{ours}.*', f'rpn.head.{theirs}.*')
      for ours, theirs in zip(_RPN, ('conv.0.0', 'cls_logits', 'bbox_pred'), strict=True)),
    *(Rule(f'roi_head.bbox_head.shared_fcs.{index}.*', f'roi_heads.box_head.fc{index + 6}.*') for index in (0, 1)),
    Rule('roi_head.bbox_head.fc_cls.*', 'roi_heads.box_predictor.cls_score.*', _background_to_front,
         _background_to_end),
    Rule('roi_head.bbox_head.fc_reg.*', 'roi_heads.box_predictor.bbox_pred.*', _add_background_first(4),
         _drop_first(4)),
    Rule('roi_head.mask_head.convs.#.conv.*', 'roi_heads.mask_head.#.0.*'),
    Rule('roi_head.mask_head.upsample.*', 'roi_heads.mask_predictor.conv5_mask.*'),
    Rule('roi_head.mask_head.conv_logits.*', 'roi_heads.mask_predictor.mask_fcn_logits.*', _add_background_first(1),
         _drop_first(1)))
_RCNN_DETECTRON2 = (
    *_fpn_of_detectron2(2, 4),
    *(Rule(f'rpn_head.rpn_{ours}.*', f'proposal_generator.rpn_head.{theirs}.*')
      for ours, theirs in zip(_RPN, ('conv', 'objectness_logits', 'anchor_deltas'), strict=True)),
    *(Rule(f'roi_head.bbox_head.shared_fcs.{index}.*', f'roi_heads.box_head.fc{index + 1}.*') for index in (0, 1)),
    Rule('roi_head.bbox_head.fc_cls.*', 'roi_heads.box_predictor.cls_score.*'),
    Rule('roi_head.bbox_head.fc_reg.*', 'roi_heads.box_predictor.bbox_pred.*'),
    *(Rule(f'roi_head.mask_head.convs.{index}.conv.*', f'roi_heads.mask_head.mask_fcn{index + 1}.*')
      for index in range(4)),
    Rule('roi_head.mask_head.upsample.*', 'roi_heads.mask_head.deconv.*'),
    Rule('roi_head.mask_head.conv_logits.*', 'roi_heads.mask_head.predictor.*'))

FASTER_RCNN = Architecture('faster_rcnn', {
    'mmdet': Names(_over_resnet('mmdet', 'backbone.', (*_OUR_FPN, *_RCNN_HEADS))),
    'torchvision': Names(
        _over_resnet('torchvision', 'backbone.body.', _RCNN_TORCHVISION), to_theirs=_refuse_shared_boxes,
        note=_TORCHVISION_NOTE.format("an RoIAlign that is aligned, where torchvision's builders take another one: "
                                      'features of a region differ a little')),
    'detectron2': Names(
        _over_resnet('detectron2', 'backbone.bottom_up.', _RCNN_DETECTRON2), ignored=_IGNORED_BY_US,
        to_theirs=_refuse_shared_boxes_and_drop_counts, note=_DETECTRON2_NOTE),
})
