# GC10-DET (Lv et al., Sensors 20(6), 1562, 2020), as tools/dataset_converters/gc10.py writes it into
# $AGSSP_DATA_ROOT/gc10/annotations.
# "GC10-Mini" of the paper is a part of it that was never defined in public.
_base_ = './labelled.py'

data_root = '{{$AGSSP_DATA_ROOT:data}}/gc10/'
metainfo = dict(classes=(
    'punching hole', 'welding line', 'crescent gap', 'water spot', 'oil spot', 'silk spot', 'inclusion', 'rolled pit',
    'crease', 'waist folding'))

train_dataset = dict(data_root=data_root, metainfo=metainfo)
val_dataset = dict(data_root=data_root, metainfo=metainfo)
val_evaluator = dict(ann_file=data_root + 'annotations/val.json')
test_evaluator = val_evaluator
