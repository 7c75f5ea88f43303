# YOLOv8-s of MMYOLO, the paper's own detector, with the normalisation of stage 1. The numbers are those of MMYOLO's
# yolov8_s_syncbn_fast_8xb16-500e_coco. Written out, because MMEngine would install MMYOLO to read its configs, and with
# full type names, because the data and the recipe are MMDetection's.
norm_cfg = dict(type='BN', momentum=0.03, eps=0.001)
act_cfg = dict(type='SiLU', inplace=True)
width = dict(widen_factor=0.5, norm_cfg=norm_cfg, act_cfg=act_cfg)
channels = [256, 512, 1024]

model = dict(
    type='mmyolo.YOLODetector',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[110.2955, 113.433, 109.914],
        std=[32.028, 30.614, 30.27],
        bgr_to_rgb=True,
        pad_size_divisor=32),
    backbone=dict(type='mmyolo.YOLOv8CSPDarknet', deepen_factor=0.33, **width),
    neck=dict(
        type='mmyolo.YOLOv8PAFPN',
        deepen_factor=0.33,
        in_channels=channels,
        out_channels=channels,
        num_csp_blocks=3,
        **width),
    bbox_head=dict(
        type='mmyolo.YOLOv8Head',
        head_module=dict(
            type='mmyolo.YOLOv8HeadModule',
            num_classes=80,
            in_channels=channels,
            reg_max=16,
            featmap_strides=[8, 16, 32],
            **width),
        prior_generator=dict(type='MlvlPointGenerator', offset=0.5, strides=[8, 16, 32]),
        bbox_coder=dict(type='mmyolo.DistancePointBBoxCoder'),
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True, reduction='none', loss_weight=0.5),
        loss_bbox=dict(
            type='mmyolo.IoULoss', iou_mode='ciou', bbox_format='xyxy', reduction='sum', loss_weight=7.5,
            return_iou=False),
        loss_dfl=dict(type='DistributionFocalLoss', reduction='mean', loss_weight=1.5 / 4)),
    train_cfg=dict(
        assigner=dict(
            type='mmyolo.BatchTaskAlignedAssigner', num_classes=80, use_ciou=True, topk=10, alpha=0.5,
            beta=6.0, eps=1e-9)),
    test_cfg=dict(
        multi_label=True, nms_pre=30000, score_thr=0.001, nms=dict(type='nms', iou_threshold=0.7), max_per_img=300))
