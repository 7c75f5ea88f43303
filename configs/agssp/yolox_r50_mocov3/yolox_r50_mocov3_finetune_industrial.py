# The row "MoCoV3, industrial": fine-tuning after a pretraining without anomaly maps.
_base_ = './yolox_r50_mocov3_finetune.py'

load_from = 'work_dirs/yolox_r50_mocov3_industrial/epoch_200.pth'
