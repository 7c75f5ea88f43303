_base_ = [
    '../../_base_/paper/finetune.py', '../../_base_/models/dino_swin-b.py', '../../_base_/datasets/casting_billet.py']

model = dict(
    backbone=dict(frozen_stages=2),  # patch embedding and the first two stages
    bbox_head=dict(num_classes=6))
find_unused_parameters = True  # the backbone freezes when the training starts, after DDP has counted parameters

resize = dict(type='RandomChoiceResize', scales=[(640, 640), (480, 640), (768, 640)], keep_ratio=True)
resize_small = dict(type='RandomChoiceResize', scales=[(400, 640), (500, 640), (600, 640)], keep_ratio=True)
crop = dict(type='RandomCrop', crop_type='absolute_range', crop_size=(384, 600), allow_negative_crop=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomChoice', transforms=[[resize], [resize_small, crop, resize]]),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(640, 640), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
train_dataloader = dict(batch_size=6, dataset=dict(**_base_.train_dataset, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**_base_.val_dataset, pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=1e-4),
    clip_grad=dict(max_norm=0.1),
    paramwise_cfg=dict(custom_keys={
        'backbone': dict(lr_mult=0.1),
        'sampling_offsets': dict(lr_mult=0.1),
        'reference_points': dict(lr_mult=0.1),
    }))
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[400], gamma=0.1)]
load_from = 'work_dirs/dino_swin-b_simmim_agdp/detector.pth'
