# Stage 2 straight from ImageNet weights, without AGBP and for longer. A config that builds on this one names a detector
# over EfficientNet-Lite0, with num_classes=1 and the initial weights of its backbone.
_base_ = './agdp_neu_det.py'

custom_hooks = [
    dict(type='NumClassCheckHook'),
    dict(type='LoadReportHook'),
    dict(type='NormEvalHook'),
    dict(type='DetectorExportHook'),
    dict(type='ChannelsLastHook'),
]

max_epochs = 6
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=True, T_max=max_epochs, eta_min_ratio=0.01, convert_to_iter_based=True),
]
