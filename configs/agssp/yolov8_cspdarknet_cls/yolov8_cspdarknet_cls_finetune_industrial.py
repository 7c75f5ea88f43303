# The row "cls, industrial": fine-tuning after a pretraining without anomaly maps.
_base_ = './yolov8_cspdarknet_cls_finetune.py'

load_from = 'work_dirs/yolov8_cspdarknet_cls_industrial/epoch_200.pth'
