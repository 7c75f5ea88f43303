# The row "SimMIM, industrial": fine-tuning after a pretraining without anomaly maps.
_base_ = './yolox_swin-b_simmim_finetune.py'

load_from = 'work_dirs/yolox_swin-b_simmim_industrial/epoch_200.pth'
