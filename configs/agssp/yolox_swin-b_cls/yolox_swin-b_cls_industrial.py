# The row "cls, industrial": a classifier of the sources without anomaly maps, augmented as MMPretrain's recipe for Swin
# has it; the map store only says which image is of which source. What the paper does not say is as in stage 1: where it
# starts from, what is frozen, the batch size, how long it runs.
_base_ = './yolox_swin-b_cls_agbp.py'

from mmpretrain.datasets.transforms.auto_augment import RANDAUG_POLICIES

mean, std = _base_.mean, _base_.std
load, crop, flip, pack = _base_.plain_pipeline
# With full names: MMDetection has transforms of the same short ones.
policies = [dict(one, type='mmpretrain.' + one['type']) for one in RANDAUG_POLICIES['timm_increasing']]
train_pipeline = [
    load,
    dict(crop, backend='pillow', interpolation='bicubic'),
    flip,
    dict(type='mmpretrain.RandAugment', policies=policies, num_policies=2, total_level=10, magnitude_level=9,
         magnitude_std=0.5, hparams=dict(pad_val=[round(value) for value in mean[::-1]], interpolation='bicubic')),
    dict(type='mmpretrain.RandomErasing', erase_prob=0.25, mode='rand', min_area_ratio=0.02, max_area_ratio=1 / 3,
         fill_color=mean[::-1], fill_std=std[::-1]),
    pack,
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

checkpoint = ('https://download.openmmlab.com/mmclassification/v0/swin-transformer/convert/'
              'swin_base_patch4_window7_224-4670dd19.pth')
model = dict(
    _delete_=True,
    type='ImageClassifier',
    _scope_='mmpretrain',
    data_preprocessor=dict(mean=mean, std=std, to_rgb=True, num_classes=61),  # as in the head
    # MMPretrain's, as MMDetection's returns a list, which MMPretrain's neck refuses; same names and weights.
    backbone=dict(
        type='SwinTransformer',
        arch='base',
        img_size=224,
        drop_path_rate=0.5,
        frozen_stages=1,  # patch embedding and the first two stages; MMDetection counts them as 2
        init_cfg=dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone.')),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=61,
        in_channels=1024,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        cal_acc=False),
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]))
optim_wrapper = dict(optimizer=dict(lr=5e-4))
custom_hooks = [dict(type='SourceClassesHook'), dict(type='LoadReportHook')]
del RANDAUG_POLICIES  # MMEngine would take it for a setting
