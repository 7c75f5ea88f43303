# The row "none": from random weights.
_base_ = './yolox_cspdarknet_cls_finetune.py'

load_from = None
