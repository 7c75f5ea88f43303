# Stage 2 straight from ImageNet weights, without AGBP: what measured best on NEU-DET, on maps of the teachers texture
# and normalized-cut together (docs/results.md).
_base_ = './atss_efficientnet-lite0_agdp.py'

model = dict(backbone=dict(init_cfg=dict(_delete_=True, type='EfficientNetLiteImageNet', variant='lite0')))
load_from = None

max_epochs = 6
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=True, T_max=max_epochs, eta_min_ratio=0.01, convert_to_iter_based=True),
]
