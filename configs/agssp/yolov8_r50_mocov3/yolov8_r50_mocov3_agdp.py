_base_ = '../yolov8_r50_cls/yolov8_r50_cls_agdp.py'

load_from = 'work_dirs/yolox_r50_mocov3_agbp/backbone.pth'
