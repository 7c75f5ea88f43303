# Over the backbone that the SimMIM row of YOLOX has pretrained: one stage 1 serves all three detectors.
_base_ = ['../../_base_/paper/agdp.py', '../../_base_/models/faster-rcnn_swin-b.py']

model = dict(
    backbone=dict(frozen_stages=4),  # patch embedding, all stages, all output norms
    roi_head=dict(bbox_head=dict(num_classes=1)))
find_unused_parameters = True  # the backbone freezes when the training starts, after DDP has counted parameters

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(640, 640), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(batch_size=128, dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=1e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=10),
    dict(type='MultiStepLR', by_epoch=True, milestones=[6, 8], gamma=0.1),
]
load_from = 'work_dirs/yolox_swin-b_simmim_agbp/backbone.pth'
