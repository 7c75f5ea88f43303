# The row "+AGBP": fine-tuning right after stage 1.
_base_ = './yolox_swin-b_cls_finetune.py'

load_from = 'work_dirs/yolox_swin-b_cls_agbp/backbone.pth'
