# GC10-DET (Lv et al., Sensors 20(6), 1562, 2020), as tools/dataset_converters/gc10.py writes it into
# $AGSSP_DATA_ROOT/gc10/annotations.
# "GC10-Mini" of the paper is a part of it that was never defined in public.
data_root = '{{$AGSSP_DATA_ROOT:data}}/gc10/'
metainfo = dict(classes=(
    'punching hole', 'welding line', 'crescent gap', 'water spot', 'oil spot', 'silk spot', 'inclusion', 'rolled pit',
    'crease', 'waist folding'))

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
