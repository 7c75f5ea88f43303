_base_ = ['../../_base_/finetune_neu_det.py', '../../_base_/models/faster-rcnn_r50.py']

model = dict(backbone=dict(init_cfg=None), roi_head=dict(bbox_head=dict(num_classes=6)))
load_from = 'work_dirs/faster-rcnn_r50_agdp/detector.pth'
