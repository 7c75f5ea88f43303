# SimMIM goes on reconstructing the masked corpus, while its backbone's view of the whole image is pulled towards the
# anomaly maps: two forwards a step. The Faster R-CNN and DINO rows start from the same run.
_base_ = '../../_base_/paper/agbp.py'

from mmengine.hub import get_config

published = get_config('mmpretrain::simmim/simmim_swin-base-w6_16xb128-amp-coslr-800e_in1k-192px.py')

train_pipeline = [
    *_base_.loading,
    dict(type='RandomResize', scale=(400, 400), ratio_range=(0.5, 2.0), keep_ratio=False),
    dict(type='RandomCrop', crop_size=(192, 192)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmpretrain.SimMIMMaskGenerator', input_size=192, mask_patch_size=32, model_patch_size=4,
         mask_ratio=0.6),
    *_base_.packing,
]
train_dataloader = dict(batch_size=224, dataset=dict(pipeline=train_pipeline))  # on each of two GPUs

model = published.model.to_dict()
model.update(
    _delete_=True,
    type='SimMIM',
    _scope_='mmpretrain',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=_base_.mean, std=_base_.std, to_rgb=True))
# Frozen: patch embedding and the first two stages; MMDetection counts them as 2.
model['backbone'].update(drop_path_rate=0.1, frozen_stages=1)
find_unused_parameters = True  # the backbone freezes when the training starts, after DDP has counted parameters
load_from = ('https://download.openmmlab.com/mmselfsup/1.x/simmim/simmim_swin-base_16xb128-amp-coslr-800e_in1k-192/'
             'simmim_swin-base_16xb128-amp-coslr-800e_in1k-192_20220916-a0e931ac.pth')

custom_hooks = [
    dict(type='LoadReportHook'),
    dict(type='DistillationPretrainer', levels=(-1, ), clean_forward=True,
         loss=dict(type='NormalizedL2MapLoss', weight=2.0)),
]
default_hooks = dict(checkpoint=dict(interval=20))
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4 * 448 / 512, betas=(0.9, 0.999), weight_decay=0.05),
    clip_grad=dict(max_norm=5.0),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys={'relative_position_bias_table': dict(decay_mult=0.0)}))
# 500 epochs were planned; the weights of epoch 200 are what the paper goes on with.
param_scheduler = [
    dict(type='LinearLR', start_factor=5e-3, by_epoch=True, begin=0, end=10, convert_to_iter_based=True),
    dict(type='MultiStepLR', milestones=[80], by_epoch=True, begin=10, end=200, convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=448)
del published  # MMEngine would take it for a setting
