_base_ = ['../../_base_/agdp_neu_det.py', '../../_base_/models/atss_efficientnet-lite0.py']

# The backbone learns too, with its batch statistics kept. The paper freezes it, as the config ending in _agdp_paper
# does; that measured worse (docs/research.md).
model = dict(backbone=dict(init_cfg=None), bbox_head=dict(num_classes=1))
load_from = 'work_dirs/atss_efficientnet-lite0_agbp/backbone.pth'

custom_hooks = [
    dict(type='NumClassCheckHook'),
    dict(type='LoadReportHook'),
    dict(type='NormEvalHook'),
    dict(type='DetectorExportHook'),
    dict(type='ChannelsLastHook'),
]
