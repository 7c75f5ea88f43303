# The row "cls, ImageNet".
_base_ = './yolox_swin-b_cls_finetune.py'

checkpoint = ('https://github.com/SwinTransformer/storage/releases/download/v1.0.0/'
              'swin_base_patch4_window7_224.pth')
model = dict(backbone=dict(convert_weights=True, init_cfg=dict(type='Pretrained', checkpoint=checkpoint)))
load_from = None
