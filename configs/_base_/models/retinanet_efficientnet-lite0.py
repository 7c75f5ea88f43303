# RetinaNet over EfficientNet-Lite0: small enough for two CPU cores, with real ImageNet weights from a Python package.
# Unlike MMDetection's RetinaNet it normalises neck and head, and knows boxes five times as long as wide, for scratches:
# from ImageNet weights alone and few labels that is worth 5 mAP50 in short trainings (docs/research.md).
norm_cfg = dict(type='GN', num_groups=32, requires_grad=True)
model = dict(
    type='RetinaNet',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[127.5, 127.5, 127.5],  # what the ImageNet weights were trained with
        std=[127.5, 127.5, 127.5],
        bgr_to_rgb=True,
        pad_size_divisor=32),
    backbone=dict(
        type='mmpretrain.TIMMBackbone',
        model_name='tf_efficientnet_lite0',
        features_only=True,
        out_indices=(2, 3, 4),
        init_cfg=dict(type='EfficientNetLiteImageNet', variant='lite0')),
    neck=dict(
        type='FPN',
        in_channels=[40, 112, 320],
        out_channels=128,
        norm_cfg=norm_cfg,
        add_extra_convs='on_output',
        num_outs=5),
    bbox_head=dict(
        type='RetinaHead',
        num_classes=6,
        in_channels=128,
        stacked_convs=2,
        feat_channels=128,
        norm_cfg=norm_cfg,
        anchor_generator=dict(
            type='AnchorGenerator',
            octave_base_scale=4,
            scales_per_octave=3,
            ratios=[0.2, 0.5, 1.0, 2.0, 5.0],
            strides=[8, 16, 32, 64, 128]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[0., 0., 0., 0.], target_stds=[1., 1., 1., 1.]),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
        loss_bbox=dict(type='L1Loss', loss_weight=1.0)),
    train_cfg=dict(
        assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0, ignore_iof_thr=-1),
        sampler=dict(type='PseudoSampler'),
        allowed_border=-1,
        pos_weight=-1,
        debug=False),
    test_cfg=dict(
        nms_pre=1000,
        min_bbox_size=0,
        score_thr=0.05,
        nms=dict(type='nms', iou_threshold=0.5),
        max_per_img=100))
