# YOLOX with Swin-B; neck and head are as wide as those of YOLOX-l and as deep as those of YOLOX-s, which is what the
# paper does to YOLOv8-s.
_base_ = './yolox_cspdarknet.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdet.SwinTransformer',
        embed_dims=128,
        depths=[2, 2, 18, 2],
        num_heads=[4, 8, 16, 32],
        window_size=7,
        drop_path_rate=0.3,
        out_indices=(1, 2, 3)),
    neck=dict(in_channels=[256, 512, 1024], out_channels=256),
    bbox_head=dict(in_channels=256, feat_channels=256))
