# MoCo v3 with the anomaly maps of its first view. The paper has this row, but published neither a config nor the
# settings: the model, its views' colours and the optimizer are MMPretrain's, crops, epochs, freezing and the loss
# those of the paper's ResNet-50. Only the last level is distilled, as MMPretrain's neck takes one level.
_base_ = '../../_base_/paper/agbp.py'

from mmengine.hub import get_config

published = get_config('mmpretrain::mocov3/mocov3_resnet50_8xb512-amp-coslr-800e_in1k.py')


def scoped(colours):
    """Transforms of MMPretrain by their full names."""
    return [dict(one, type='mmpretrain.' + one['type']) | (
        dict(transforms=scoped(one['transforms'])) if 'transforms' in one else {}) for one in colours]


colours = [scoped(pipeline[1:-1]) for pipeline in published.train_pipeline[1]['transforms']]
views = [[*_base_.geometry, *one] for one in colours]
train_pipeline = [
    *_base_.loading, dict(type='MultiViewWithMaps', num_views=[1, 1], transforms=views), *_base_.packing]
train_dataloader = dict(batch_size=512, dataset=dict(pipeline=train_pipeline))

model = published.model.to_dict()
model.update(
    _delete_=True,
    type='MoCoV3',
    _scope_='mmpretrain',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=_base_.mean, std=_base_.std, to_rgb=True),
    backbone=dict(
        type='mmdet.ResNet',
        depth=50,
        out_indices=(3, ),
        norm_cfg=dict(type='BN', requires_grad=True),  # SyncBN in the original, which needs several GPUs
        norm_eval=False,
        frozen_stages=2))
load_from = ('https://download.openmmlab.com/mmselfsup/1.x/mocov3/mocov3_resnet50_8xb512-amp-coslr-800e_in1k/'
             'mocov3_resnet50_8xb512-amp-coslr-800e_in1k_20220927-e043f51a.pth')

custom_hooks = [
    dict(type='LoadReportHook'),
    dict(type='DistillationPretrainer', levels=(-1, ), view=0,
         loss=dict(type='CosineMapLoss', shift=2.0, scale=2.0)),
]
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='mmpretrain.LARS', lr=9.6, weight_decay=1e-6, momentum=0.9),
    paramwise_cfg=published.optim_wrapper.paramwise_cfg.to_dict())
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-4, by_epoch=True, begin=0, end=10, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=190, by_epoch=True, begin=10, end=200, convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=4096)
del published  # MMEngine would take it for a setting
