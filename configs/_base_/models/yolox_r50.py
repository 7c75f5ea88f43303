# YOLOX with ResNet-50; neck and head are as wide as those of YOLOX-l and as deep as those of YOLOX-s, which is what
# the paper does to YOLOv8-s.
_base_ = './yolox_cspdarknet.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdet.ResNet',
        depth=50,
        out_indices=(1, 2, 3),
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=True),
    neck=dict(in_channels=[512, 1024, 2048], out_channels=256),
    bbox_head=dict(in_channels=256, feat_channels=256))
