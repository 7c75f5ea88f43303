# Stage 3 of the YOLO rows; a config that builds on this one adds a data set of _base_/datasets.
_base_ = './yolo.py'

val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

custom_hooks = [
    # Mosaic and affine stop ten epochs before the end. The published runs of other lengths than 500 epochs forgot that.
    dict(type='YOLOXModeSwitchHook', num_last_epochs=10, skip_type_keys=('Mosaic', 'RandomAffine'), priority=48),
    dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=1e-4, update_buffers=True, priority=49),
    dict(type='NumClassCheckHook'),
    dict(type='LoadReportHook'),
]
# The paper selects on the data that it reports.
default_hooks = dict(checkpoint=dict(interval=10, save_best='coco/bbox_mAP_50'))
max_epochs = 500
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=10)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=True, begin=0, end=3, convert_to_iter_based=True),
    dict(type='LinearLR', end_factor=0.01, by_epoch=True, begin=3, end=max_epochs),
]
