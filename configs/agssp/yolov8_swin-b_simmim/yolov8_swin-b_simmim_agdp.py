_base_ = '../yolov8_swin-b_cls/yolov8_swin-b_cls_agdp.py'

model = dict(backbone=dict(window_size=6))
load_from = 'work_dirs/yolox_swin-b_simmim_agbp/backbone.pth'
