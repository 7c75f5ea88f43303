_base_ = '../../_base_/agbp_neu_det.py'

model = dict(
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
    backbone=dict(
        type='mmpretrain.TIMMBackbone',
        model_name='tf_efficientnet_lite0',
        features_only=True,
        out_indices=(2, 3, 4),
        init_cfg=dict(type='EfficientNetLiteImageNet', variant='lite0')))
custom_hooks = [dict(type='DistillationPretrainer', levels=(-2, -1)), dict(type='ChannelsLastHook')]
