# Stage 2 straight from ImageNet weights, without AGBP. A config that builds on this one names a detector
# over EfficientNet-Lite0, with num_classes=1 and the initial weights of its backbone.
_base_ = './agdp_neu_det.py'

custom_hooks = [
    dict(type='NumClassCheckHook'),
    dict(type='LoadReportHook'),
    dict(type='NormEvalHook'),
    dict(type='DetectorExportHook'),
    dict(type='ChannelsLastHook'),
]
