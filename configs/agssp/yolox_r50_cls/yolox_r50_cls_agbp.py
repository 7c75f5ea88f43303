_base_ = '../../_base_/paper/agbp.py'

model = dict(
    backbone=dict(
        type='mmdet.ResNet',
        depth=50,
        out_indices=(1, 2, 3),
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        frozen_stages=2,  # stem, layer 1 and layer 2
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')),
    head=dict(in_channels=2048))
