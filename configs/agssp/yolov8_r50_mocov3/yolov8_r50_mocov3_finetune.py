_base_ = '../yolov8_r50_cls/yolov8_r50_cls_finetune.py'

load_from = 'work_dirs/yolov8_r50_mocov3_agdp/detector.pth'
