# Stage 2, AGDP: the detector is trained on pseudo boxes of the one class "anomaly", from the backbone of stage 1. A
# config that builds on this one names the detector, with num_classes=1, and says what of its backbone rests.
_base_ = './runtime.py'

data_root = '{{$AGSSP_DATA_ROOT:data}}/neu_det/'
map_store = 'work_dirs/maps/neu_det'
image_size = (256, 256)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomResize', scale=image_size, ratio_range=(1.0, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=image_size),  # passes over images, and crops, without a pseudo box
    dict(type='PasteDefects'),  # exact boxes beside those of the maps; the paper has none
    dict(type='RandomFlip', prob=[0.33, 0.33], direction=['horizontal', 'vertical']),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=None,
    dataset=dict(
        type='PseudoBoxDataset',
        images='images/train',
        data_root=data_root,
        store=map_store,
        rule=dict(type='ComponentTreeBoxRule'),
        pipeline=train_pipeline))

custom_hooks = [
    dict(type='NumClassCheckHook'),
    dict(type='LoadReportHook'),
    dict(type='DetectorExportHook'),
]

max_epochs = 18
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.05),
    clip_grad=dict(max_norm=10.0),
    # RTMDet shares convolutions between levels: MMEngine would list their weights once per level.
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, bypass_duplicate=True))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=True, T_max=max_epochs, eta_min_ratio=0.01, convert_to_iter_based=True),
]
