# Stage 1, AGBP: the anomaly maps of the unlabelled training images are distilled into the backbone.
# A config that builds on this one names the backbone and its normalisation.
_base_ = './runtime.py'

data_root = '{{$AGSSP_DATA_ROOT:data}}/neu_det/'
image_root = data_root + 'images/train'
map_store = 'work_dirs/maps/neu_det'  # tools/generate_maps.py $AGSSP_DATA_ROOT/neu_det/images/train <this folder>
crop_size = (256, 256)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='AnomalyMapGenerator', store=map_store, image_root=image_root),
    dict(type='RandomResize', scale=crop_size, ratio_range=(1.0, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=[0.33, 0.33], direction=['horizontal', 'vertical']),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackDetInputs', meta_keys=('img_path', 'img_shape')),
]
val_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='AnomalyMapGenerator', store=map_store, image_root=image_root),
    dict(type='Resize', scale=crop_size, keep_ratio=True),
    dict(type='PackDetInputs', meta_keys=('img_path', 'img_shape')),
]
dataset = dict(type='PseudoBoxDataset', images='images/train', data_root=data_root, store=map_store, held_out=60)
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(**dataset, pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=16,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, test_mode=True, pipeline=val_pipeline))
val_evaluator = dict(type='MapAgreement')
val_cfg = dict(type='ValLoop')

model = dict(
    type='BackbonePretrainer',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
        pad_seg=True))
custom_hooks = [dict(type='DistillationPretrainer', levels=(-2, -1))]

max_epochs = 15
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=max_epochs)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-5, weight_decay=0.05),
    clip_grad=dict(max_norm=5.0),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=True, T_max=max_epochs, eta_min_ratio=0.01, convert_to_iter_based=True),
]
