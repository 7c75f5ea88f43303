# Stage 2, AGDP, of the detectors without mosaic: neck and head are trained on the pseudo boxes of the corpus, made by
# the paper's rule, over the frozen backbone of stage 1. A config that builds on this one names detector, batch size
# and schedule. Numbers without a comment of their own are the paper's.
_base_ = '../runtime.py'

data_root = '{{$AGSSP_DATA_ROOT:data}}/industrial/'
map_store = 'work_dirs/maps/industrial'

train_dataset = dict(
    type='PseudoBoxDataset',
    images='images',
    data_root=data_root,
    store=map_store,
    rule=dict(type='PaperBoxRule'),
    filter_cfg=dict(filter_empty_gt=False, min_size=32))
train_dataloader = dict(
    num_workers=8,  # not the paper's
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='AspectRatioBatchSampler'),  # MMDetection's default
    dataset=train_dataset)

custom_hooks = [
    dict(type='NumClassCheckHook'),
    dict(type='LoadReportHook'),
    dict(type='DetectorExportHook'),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=10)
auto_scale_lr = dict(enable=False)
randomness = dict(seed=2024)
