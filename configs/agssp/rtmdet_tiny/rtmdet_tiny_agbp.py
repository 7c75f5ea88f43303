_base_ = '../../_base_/agbp_neu_det.py'

from mmengine.hub import get_config

backbone = get_config('mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py').model.backbone.to_dict()
backbone.update(norm_cfg=dict(type='BN'))  # SyncBN in the original, which needs several GPUs
model = dict(
    backbone=backbone,
    data_preprocessor=dict(mean=[103.53, 116.28, 123.675], std=[57.375, 57.12, 58.395], bgr_to_rgb=False))
