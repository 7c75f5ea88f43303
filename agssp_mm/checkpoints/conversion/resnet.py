"""ResNet: one set of names nearly everywhere, another in Detectron2; deep stems differ."""
import re

from agssp_mm.checkpoints.conversion.names import Architecture, Names, Rule, State

_STAGES = (1, 2, 3, 4)
_STEM = (Rule('conv1.weight'), Rule('bn1.*'))
_BLOCKS = (Rule('layer#.#.conv#.weight'), Rule('layer#.#.bn#.*'))
# ResNet-D averages before its shortcut, so that everything there stands one place later.
_SHORTCUT = (Rule('layer#.#.downsample.0.weight'), Rule('layer#.#.downsample.1.*'))
_BODY = (*_BLOCKS, *_SHORTCUT, Rule('layer#.#.downsample.2.*'))
# MMDetection: a plain list of convolution, norm, activation three times.
_DEEP_STEM = tuple(Rule(f'stem.{index}.*') for index in (0, 1, 3, 4, 6, 7))
_DEEP_STEM_MMPRETRAIN = tuple(
    Rule(f'stem.{3 * layer + part}.*', f'stem.{layer}.{name}.*') for layer in range(3)
    for part, name in enumerate(('conv', 'bn')))
_DEEP_STEM_TIMM = (*(Rule(f'stem.{index}.*', f'conv1.{index}.*') for index in (0, 1, 3, 4, 6)),
                   Rule('stem.7.*', 'bn1.*'))
_FC = Rule('head.fc.*', 'fc.*')
_STRIDE_NOTE = ("{} puts the stride of a bottleneck into its 3x3 convolution, as style='pytorch' of MMDetection does; "
                "weights of style='caffe' load, but give other features")


def _move_deep_norm(state: State) -> State:
    """In timm the last norm of a deep stem is called like the only one of a plain stem."""
    if 'stem.0.weight' not in state:
        return state
    return {re.sub(r'^bn1\.', 'stem.7.', name): value for name, value in state.items()}


def _detectron2() -> tuple[Rule, ...]:
    rules = [Rule('conv1.weight', 'stem.conv1.weight'), Rule('bn1.*', 'stem.conv1.norm.*')]
    for stage in _STAGES:
        ours, theirs = f'layer{stage}.#', f'res{stage + 1}.#'
        rules += [Rule(f'{ours}.conv#.weight', f'{theirs}.conv#.weight'),
                  Rule(f'{ours}.bn#.*', f'{theirs}.conv#.norm.*'),
                  Rule(f'{ours}.downsample.0.weight', f'{theirs}.shortcut.weight'),
                  Rule(f'{ours}.downsample.1.*', f'{theirs}.shortcut.norm.*')]
    return (*rules, Rule('head.fc.*', 'linear.*'))


def _without_counts(state: State) -> State:
    return {name: value for name, value in state.items() if not name.endswith('num_batches_tracked')}


RESNET = Architecture('resnet', {
    'mmdet': Names((*_STEM, *_DEEP_STEM, *_BODY, Rule('head.fc.*'))),
    'mmpretrain': Names((*_STEM, *_DEEP_STEM_MMPRETRAIN, *_BODY, Rule('head.fc.*'))),
    'torchvision': Names((*_STEM, *_BLOCKS, *_SHORTCUT, _FC), note=_STRIDE_NOTE.format('torchvision')),
    'timm': Names((*_STEM, *_DEEP_STEM_TIMM, *_BODY, _FC), to_ours=_move_deep_norm,
                  note=_STRIDE_NOTE.format('timm')),
    # Its norms are frozen ones by default, which have no counter of batches.
    'detectron2': Names(
        _detectron2(), to_theirs=_without_counts,
        note="Detectron2 needs cfg.MODEL.RESNETS.STRIDE_IN_1X1 = False for weights of style='pytorch', and input of "
             'the colour order, mean and std that the weights were trained with'),
})
