_base_ = '../yolox_swin-b_cls/yolox_swin-b_cls_finetune_gc10.py'

model = dict(backbone=dict(window_size=6))
load_from = 'work_dirs/yolox_swin-b_simmim_agdp/detector.pth'
