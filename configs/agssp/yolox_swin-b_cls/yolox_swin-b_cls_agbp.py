# The paper's classifier has weight 0 here, so there is none.
_base_ = '../../_base_/paper/agbp.py'

model = dict(
    _delete_=True,
    type='BackbonePretrainer',
    data_preprocessor=dict(
        type='mmpretrain.SelfSupDataPreprocessor', mean=_base_.mean, std=_base_.std, to_rgb=True),
    backbone=dict(
        type='mmdet.SwinTransformer',
        embed_dims=128,
        depths=[2, 2, 18, 2],
        num_heads=[4, 8, 16, 32],
        window_size=7,
        drop_path_rate=0.5,
        out_indices=(1, 2, 3),
        frozen_stages=2,  # patch embedding and the first two stages; MMPretrain counts them as 1
        convert_weights=True,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://github.com/SwinTransformer/storage/releases/download/v1.0.0/'
            'swin_base_patch4_window7_224.pth')))
find_unused_parameters = True  # the output norms of the levels that are not distilled
train_dataloader = dict(batch_size=320)  # on each of two GPUs

custom_hooks = [
    dict(type='DistillationPretrainer', levels=(-1, ), loss=dict(type='NormalizedL2MapLoss', weight=2.0))]
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4 * 640 / 512, betas=(0.9, 0.999), weight_decay=0.05),
    clip_grad=dict(max_norm=5.0),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys={'relative_position_bias_table': dict(decay_mult=0.0)}))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=True, begin=0, end=20, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=180, eta_min=1e-5, by_epoch=True, begin=20, end=200,
         convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=640)
