# The row "none": from random weights.
_base_ = './yolox_swin-b_cls_finetune.py'

load_from = None
