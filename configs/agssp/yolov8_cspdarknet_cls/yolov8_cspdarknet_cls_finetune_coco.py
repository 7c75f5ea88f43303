# The row "detection, COCO".
_base_ = './yolov8_cspdarknet_cls_finetune.py'

load_from = ('https://download.openmmlab.com/mmyolo/v0/yolov8/yolov8_s_syncbn_fast_8xb16-500e_coco/'
             'yolov8_s_syncbn_fast_8xb16-500e_coco_20230117_180101-5aa5f0f1.pth')
