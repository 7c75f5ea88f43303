_base_ = ['../../_base_/agdp_neu_det.py', '../../_base_/models/retinanet_efficientnet-lite0.py']

model = dict(backbone=dict(init_cfg=None), bbox_head=dict(num_classes=1))
load_from = 'work_dirs/retinanet_efficientnet-lite0_agbp/backbone.pth'

# timm's backbones have no frozen_stages, so a hook freezes, which happens after DDP has wrapped the model.
custom_hooks = [
    dict(type='FreezeHook', modules=('backbone', )),
    dict(type='NumClassCheckHook'),
    dict(type='LoadReportHook'),
    dict(type='DetectorExportHook'),
    dict(type='ChannelsLastHook'),
]
find_unused_parameters = True
