# Casting Billet (https://github.com/clovermini/MVIT_metal_datasets), as tools/dataset_converters/casting_billet.py
# writes it into $AGSSP_DATA_ROOT/casting_billet/annotations.
data_root = '{{$AGSSP_DATA_ROOT:data}}/casting_billet/'
metainfo = dict(
    classes=('scratch', 'weld slag', 'cutting opening', 'water slag mark', 'slag skin', 'longitudinal crack'))

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
