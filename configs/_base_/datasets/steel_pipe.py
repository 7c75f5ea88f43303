# Steel Pipe (https://github.com/clovermini/MVIT_metal_datasets), as tools/dataset_converters/steel_pipe.py
# writes it into $AGSSP_DATA_ROOT/steel_pipe/annotations.
_base_ = './labelled.py'

data_root = '{{$AGSSP_DATA_ROOT:data}}/steel_pipe/'
metainfo = dict(classes=('warp', 'external fold', 'wrinkle', 'scratch'))

train_dataset = dict(data_root=data_root, metainfo=metainfo)
val_dataset = dict(data_root=data_root, metainfo=metainfo)
val_evaluator = dict(ann_file=data_root + 'annotations/val.json')
test_evaluator = val_evaluator
