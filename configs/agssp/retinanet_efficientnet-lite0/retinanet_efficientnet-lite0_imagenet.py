# The baseline: the same fine-tuning from ImageNet weights alone.
_base_ = ['../../_base_/finetune_neu_det.py', '../../_base_/models/retinanet_efficientnet-lite0.py']

# timm's backbones have no norm_eval; small batches make poor statistics.
custom_hooks = [
    dict(type='NumClassCheckHook'),
    dict(type='LoadReportHook'),
    dict(type='NormEvalHook'),
    dict(type='ChannelsLastHook'),
]
# Half the batch at half the epochs, hence as many steps: a stronger baseline for the same time (docs/research.md).
train_dataloader = dict(batch_size=4)
max_epochs = 20
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=True, T_max=max_epochs, eta_min_ratio=0.01, convert_to_iter_based=True),
]
