_base_ = '../yolov8_swin-b_cls/yolov8_swin-b_cls_finetune_steel-pipe.py'

model = dict(backbone=dict(window_size=6))
load_from = 'work_dirs/yolov8_swin-b_simmim_agdp/detector.pth'
