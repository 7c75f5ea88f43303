# Over the backbone that the SimMIM row of YOLOX has pretrained: one stage 1 serves all three detectors.
_base_ = ['../../_base_/paper/agdp.py', '../../_base_/models/dino_swin-b.py']

model = dict(
    backbone=dict(frozen_stages=4),  # patch embedding, all stages, all output norms
    bbox_head=dict(num_classes=1),
    test_cfg=dict(max_per_img=100))  # 100 queries of one class make no 300 boxes
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
train_dataloader = dict(batch_size=12, dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=1e-4),
    clip_grad=dict(max_norm=0.1),
    paramwise_cfg=dict(custom_keys={
        'backbone': dict(lr_mult=0.1),
        'sampling_offsets': dict(lr_mult=0.1),
        'reference_points': dict(lr_mult=0.1),
    }))
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[6], gamma=0.1)]
load_from = 'work_dirs/yolox_swin-b_simmim_agbp/backbone.pth'
