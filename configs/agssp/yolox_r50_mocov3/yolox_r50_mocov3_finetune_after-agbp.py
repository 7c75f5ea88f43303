# The row "+AGBP": fine-tuning right after stage 1.
_base_ = './yolox_r50_mocov3_finetune.py'

load_from = 'work_dirs/yolox_r50_mocov3_agbp/backbone.pth'
