# The baseline: the same fine-tuning from ImageNet weights alone.
_base_ = ['../../_base_/finetune_neu_det.py', '../../_base_/models/retinanet_efficientnet-lite0.py']

# timm's backbones have no norm_eval; small batches make poor statistics.
custom_hooks = [
    dict(type='NumClassCheckHook'),
    dict(type='LoadReportHook'),
    dict(type='NormEvalHook'),
    dict(type='ChannelsLastHook'),
]
