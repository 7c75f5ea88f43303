# Stage 3 of the detectors without mosaic. A config that builds on this one adds a data set of _base_/datasets, the
# pipelines, batch size and schedule. Numbers without a comment of their own are the paper's.
_base_ = '../runtime.py'

train_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='AspectRatioBatchSampler'))  # MMDetection's default
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False))
test_dataloader = val_dataloader
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

custom_hooks = [dict(type='NumClassCheckHook'), dict(type='LoadReportHook')]
# The paper selects on the data that it reports.
default_hooks = dict(checkpoint=dict(interval=10, save_best='coco/bbox_mAP_50'))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=500, val_interval=10)
auto_scale_lr = dict(enable=False)
randomness = dict(seed=2024)
