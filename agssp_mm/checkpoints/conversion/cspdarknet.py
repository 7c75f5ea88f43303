"""Two families that share a name: the CSPDarknet of YOLOX (MMDetection) and CSPDarknet-53 (MMPretrain, timm)."""
from agssp_mm.checkpoints.conversion.names import Architecture, Names, Rule

# `stage4.1` is the pooling (conv1, conv2) where there is one, and the layer then stands at `stage4.2`.
_OURS = (Rule('stem.conv.*.*'), Rule('stage#.0.*.*'), Rule('stage#.#.main_conv.*.*'), Rule('stage#.#.short_conv.*.*'),
         Rule('stage#.#.final_conv.*.*'), Rule('stage#.#.conv#.*.*'), Rule('stage#.#.blocks.#.conv#.*.*'),
         Rule('stage#.#.blocks.#.conv#.*.*.*'), Rule('head.fc.*'))

# The cs3darknet of timm looks alike, but widens its features in another layer: it is another model.
CSPDARKNET = Architecture('cspdarknet', {
    'mmdet': Names(_OURS),
    'mmpretrain': Names(_OURS, note="MMPretrain takes it as backbone=dict(type='mmdet.CSPDarknet', ...)"),
})

_PARTS = (('downsample_conv', 'conv_down'), ('expand_conv', 'conv_exp'), ('atfer_blocks_conv', 'conv_transition_b'),
          ('final_conv', 'conv_transition'))
_OURS_53 = (Rule('stem.*.*'), *(Rule(f'stages.#.{ours}.*.*') for ours, _ in _PARTS),
            Rule('stages.#.blocks.#.conv#.*.*'), Rule('head.fc.*'))

CSPDARKNET53 = Architecture('cspdarknet53', {
    'mmdet': Names(_OURS_53, note="MMDetection takes it as backbone=dict(type='mmpretrain.CSPDarkNet', depth=53)"),
    'mmpretrain': Names(_OURS_53),
    'timm': Names((Rule('stem.*.*', 'stem.conv1.*.*'),
                   *(Rule(f'stages.#.{ours}.*.*', f'stages.#.{theirs}.*.*') for ours, theirs in _PARTS),
                   Rule('stages.#.blocks.#.conv#.*.*'), Rule('head.fc.*'))),
})
