# The paper's stage 2: neck and head alone, over the frozen backbone of stage 1.
_base_ = './retinanet_efficientnet-lite0_agdp.py'

# timm's backbones have no frozen_stages, so a hook freezes, which happens after DDP has wrapped the model.
custom_hooks = [
    dict(type='FreezeHook', modules=('backbone', )),
    dict(type='NumClassCheckHook'),
    dict(type='LoadReportHook'),
    dict(type='DetectorExportHook'),
    dict(type='ChannelsLastHook'),
]
find_unused_parameters = True
# Nothing is pasted either.
pipeline = [step for step in _base_.train_dataloader.dataset.pipeline if step.type != 'PasteDefects']
train_dataloader = dict(dataset=dict(pipeline=pipeline))
