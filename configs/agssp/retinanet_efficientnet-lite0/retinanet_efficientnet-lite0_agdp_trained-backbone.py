# AGDP that trains the backbone too, its batch statistics kept: not the paper's recipe.
_base_ = './retinanet_efficientnet-lite0_agdp.py'

custom_hooks = [
    dict(type='NumClassCheckHook'),
    dict(type='LoadReportHook'),
    dict(type='NormEvalHook'),
    dict(type='DetectorExportHook'),
    dict(type='ChannelsLastHook'),
]
find_unused_parameters = False
