# Steel Pipe (https://github.com/clovermini/MVIT_metal_datasets), as tools/dataset_converters/steel_pipe.py
# writes it into $AGSSP_DATA_ROOT/steel_pipe/annotations.
data_root = '{{$AGSSP_DATA_ROOT:data}}/steel_pipe/'
metainfo = dict(classes=('warp', 'external fold', 'wrinkle', 'scratch'))

train_dataset = dict(
    type='CocoDataset',
    data_root=data_root,
    metainfo=metainfo,
    ann_file='annotations/train.json',
    data_prefix=dict(img=''),
    filter_cfg=dict(filter_empty_gt=False, min_size=32))
val_dataset = dict(
    type='CocoDataset',
    data_root=data_root,
    metainfo=metainfo,
    ann_file='annotations/val.json',
    data_prefix=dict(img=''),
    test_mode=True)
val_evaluator = dict(type='CocoMetric', ann_file=data_root + 'annotations/val.json', metric='bbox', classwise=True)
test_evaluator = val_evaluator
