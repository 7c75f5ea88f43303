# The row "MoCoV3, industrial": stage 1 without anomaly maps, cropped as MMPretrain's MoCo v3 is. What the paper does
# not say, which is all but the method, is as in stage 1.
_base_ = './yolox_r50_mocov3_agbp.py'

crop = dict(type='mmpretrain.RandomResizedCrop', scale=224, crop_ratio_range=(0.2, 1.0), backend='pillow')
flip = dict(type='mmpretrain.RandomFlip', prob=0.5)
views = [[crop, *colours, flip] for colours in _base_.colours]
train_pipeline = [
    _base_.loading[0], dict(type='mmpretrain.MultiView', num_views=[1, 1], transforms=views), *_base_.packing]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
custom_hooks = [dict(type='LoadReportHook')]
