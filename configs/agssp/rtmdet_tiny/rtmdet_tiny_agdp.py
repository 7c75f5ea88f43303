_base_ = ['../../_base_/agdp_neu_det.py', '../../_base_/models/rtmdet_tiny.py']

norm_cfg = dict(type='BN')  # SyncBN in the original, which needs several GPUs
model = dict(
    backbone=dict(init_cfg=None, norm_eval=True, norm_cfg=norm_cfg),
    neck=dict(norm_cfg=norm_cfg),
    bbox_head=dict(num_classes=1, norm_cfg=norm_cfg))
load_from = 'work_dirs/rtmdet_tiny_agbp/backbone.pth'
