# Casting Billet (https://github.com/clovermini/MVIT_metal_datasets), as tools/dataset_converters/casting_billet.py
# writes it into $AGSSP_DATA_ROOT/casting_billet/annotations.
_base_ = './labelled.py'

data_root = '{{$AGSSP_DATA_ROOT:data}}/casting_billet/'
metainfo = dict(
    classes=('scratch', 'weld slag', 'cutting opening', 'water slag mark', 'slag skin', 'longitudinal crack'))

train_dataset = dict(data_root=data_root, metainfo=metainfo)
val_dataset = dict(data_root=data_root, metainfo=metainfo)
val_evaluator = dict(ann_file=data_root + 'annotations/val.json')
test_evaluator = val_evaluator
