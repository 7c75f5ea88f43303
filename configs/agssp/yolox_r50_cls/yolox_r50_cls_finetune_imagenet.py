# The row "cls, ImageNet".
_base_ = './yolox_r50_cls_finetune.py'

model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')))
load_from = None
