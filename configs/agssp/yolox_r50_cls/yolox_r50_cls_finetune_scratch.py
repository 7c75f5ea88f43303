# The row "none": from random weights.
_base_ = './yolox_r50_cls_finetune.py'

load_from = None
