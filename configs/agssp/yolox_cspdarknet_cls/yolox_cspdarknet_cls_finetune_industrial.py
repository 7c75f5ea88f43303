# The row "cls, industrial": fine-tuning after a pretraining without anomaly maps.
_base_ = './yolox_cspdarknet_cls_finetune.py'

load_from = 'work_dirs/yolox_cspdarknet_cls_industrial/epoch_200.pth'
