_base_ = [
    '../../_base_/paper/finetune.py', '../../_base_/models/faster-rcnn_swin-b.py',
    '../../_base_/datasets/casting_billet.py']

model = dict(
    backbone=dict(frozen_stages=2),  # patch embedding and the first two stages
    roi_head=dict(bbox_head=dict(num_classes=6)))
find_unused_parameters = True  # the backbone freezes when the training starts, after DDP has counted parameters

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(640, 640), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(640, 640), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
train_dataloader = dict(batch_size=12, dataset=dict(**_base_.train_dataset, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**_base_.val_dataset, pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=1e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, milestones=[400, 450], gamma=0.1),
]
load_from = 'work_dirs/faster-rcnn_swin-b_simmim_agdp/detector.pth'
