_base_ = '../yolox_r50_cls/yolox_r50_cls_finetune_steel-pipe.py'

load_from = 'work_dirs/yolox_r50_mocov3_agdp/detector.pth'
