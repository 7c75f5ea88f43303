# The row "detection, COCO".
_base_ = './yolox_cspdarknet_cls_finetune.py'

load_from = ('https://download.openmmlab.com/mmdetection/v2.0/yolox/yolox_s_8x8_300e_coco/'
             'yolox_s_8x8_300e_coco_20211121_095711-4592a793.pth')
