_base_ = '../yolox_r50_cls/yolox_r50_cls_finetune.py'

load_from = 'work_dirs/yolox_r50_mocov3_agdp/detector.pth'
