# The row "+AGBP": fine-tuning right after stage 1.
_base_ = './yolov8_cspdarknet_cls_finetune.py'

load_from = 'work_dirs/yolov8_cspdarknet_cls_agbp/backbone.pth'
