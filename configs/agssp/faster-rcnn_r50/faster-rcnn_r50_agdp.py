_base_ = ['../../_base_/agdp_neu_det.py', '../../_base_/models/faster-rcnn_r50.py']

model = dict(
    backbone=dict(init_cfg=None, norm_eval=True),
    roi_head=dict(bbox_head=dict(num_classes=1)))
load_from = 'work_dirs/faster-rcnn_r50_agbp/backbone.pth'
