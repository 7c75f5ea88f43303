# Stage 2, AGDP, of the YOLO rows. Ten epochs have a mosaic throughout, as in the published runs.
_base_ = './yolo.py'

data_root = '{{$AGSSP_DATA_ROOT:data}}/industrial/'
map_store = 'work_dirs/maps/industrial'

train_dataset = dict(
    type='PseudoBoxDataset',
    images='images',
    data_root=data_root,
    store=map_store,
    rule=dict(type='PaperBoxRule'),
    filter_cfg=dict(filter_empty_gt=False, min_size=32))
train_dataloader = dict(dataset=dict(dataset=train_dataset))

custom_hooks = [
    dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=1e-4, update_buffers=True, priority=49),
    dict(type='NumClassCheckHook'),
    dict(type='LoadReportHook'),
    dict(type='DetectorExportHook'),
]
max_epochs = 10
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=True, begin=0, end=3, convert_to_iter_based=True),
    dict(type='LinearLR', end_factor=0.01, by_epoch=True, begin=3, end=max_epochs),
]
