# The row "MoCoV3, ImageNet".
_base_ = './yolox_r50_mocov3_finetune.py'

checkpoint = ('https://download.openmmlab.com/mmselfsup/1.x/mocov3/mocov3_resnet50_8xb512-amp-coslr-800e_in1k/'
              'mocov3_resnet50_8xb512-amp-coslr-800e_in1k_20220927-e043f51a.pth')
model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone.')))
load_from = None
