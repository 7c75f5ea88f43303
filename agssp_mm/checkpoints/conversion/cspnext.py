"""CSPNeXt, the backbone of RTMDet: MMDetection has it, and MMPretrain trains MMDetection's."""
from agssp_mm.checkpoints.conversion.names import Architecture, Names, Rule

_OURS = (Rule('stem.#.*.*'), Rule('stage#.0.*.*'), Rule('stage#.#.main_conv.*.*'), Rule('stage#.#.short_conv.*.*'),
         Rule('stage#.#.final_conv.*.*'), Rule('stage#.#.conv#.*.*'), Rule('stage#.#.attention.fc.*'),
         Rule('stage#.#.blocks.#.conv#.*.*'), Rule('stage#.#.blocks.#.conv#.*.*.*'), Rule('head.fc.*'))

CSPNEXT = Architecture('cspnext', {
    'mmdet': Names(_OURS),
    'mmpretrain': Names(_OURS, note="MMPretrain takes it as backbone=dict(type='mmdet.CSPNeXt', ...)"),
})
