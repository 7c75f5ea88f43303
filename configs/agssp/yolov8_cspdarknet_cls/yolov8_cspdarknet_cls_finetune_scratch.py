# The row "none": from random weights.
_base_ = './yolov8_cspdarknet_cls_finetune.py'

load_from = None
