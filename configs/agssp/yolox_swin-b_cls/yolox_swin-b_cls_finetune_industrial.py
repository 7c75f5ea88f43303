# The row "cls, industrial": fine-tuning after a pretraining without anomaly maps.
_base_ = './yolox_swin-b_cls_finetune.py'

load_from = 'work_dirs/yolox_swin-b_cls_industrial/epoch_200.pth'
