# AGBP with the paper's second loss: cross-entropy over the declared sources of the images, weighted 0.1.
# It needs maps whose sources were declared (tools/generate_maps.py ... --sources); with one source it switches itself
# off.
_base_ = './retinanet_efficientnet-lite0_agbp.py'

model = dict(
    _delete_=True,
    type='ImageClassifier',
    _scope_='mmpretrain',
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5], to_rgb=True),
    backbone=dict(
        type='TIMMBackbone',
        model_name='tf_efficientnet_lite0',
        features_only=True,
        out_indices=(2, 3, 4),
        init_cfg=dict(type='EfficientNetLiteImageNet', variant='lite0')),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead', num_classes=1, in_channels=320,
        loss=dict(type='CrossEntropyLoss', loss_weight=0.1)))
custom_hooks = [dict(type='SourceClassesHook'), dict(type='DistillationPretrainer', levels=(-2, -1))]

train_pipeline = [
    *_base_.train_pipeline[:-1],
    dict(type='mmpretrain.PackInputs', algorithm_keys=['gt_seg_map'], meta_keys=('img_path', 'img_shape')),
]
train_dataloader = dict(
    collate_fn=dict(type='default_collate'), dataset=dict(pipeline=train_pipeline))
val_dataloader = val_evaluator = val_cfg = None
