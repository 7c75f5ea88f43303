# What the labelled data sets share: COCO files that tools/dataset_converters/ wrote. A config that builds on this one
# says where they are and which classes they have.
train_dataset = dict(
    type='CocoDataset',
    ann_file='annotations/train.json',
    data_prefix=dict(img=''),
    filter_cfg=dict(filter_empty_gt=False, min_size=32))
val_dataset = dict(type='CocoDataset', ann_file='annotations/val.json', data_prefix=dict(img=''), test_mode=True)
val_evaluator = dict(type='CocoMetric', metric='bbox', classwise=True)
test_evaluator = val_evaluator
