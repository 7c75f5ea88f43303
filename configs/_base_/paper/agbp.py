# Stage 1, AGBP, with the constants of the paper (arXiv 2509.18919) and its published code: the anomaly maps of the
# industrial corpus are distilled into the backbone. Numbers without a comment of their own are the paper's.
# The corpus: $AGSSP_DATA_ROOT/industrial/images/<source>/..., 34 sources and 61 classes in the paper, unlabelled here.
#   tools/generate_maps.py $AGSSP_DATA_ROOT/industrial/images work_dirs/maps/industrial --teacher kead --sources ...
# The paper trains in mixed precision: add --amp. Smaller machines: --cfg-options train_dataloader.batch_size=...
# together with --auto-scale-lr.
_base_ = '../runtime.py'

data_root = '{{$AGSSP_DATA_ROOT:data}}/industrial/'
image_root = data_root + 'images'
map_store = 'work_dirs/maps/industrial'

# The one normalisation of all stages (RGB). The published code changes it after this stage, see docs/paper_configs.md.
mean = [110.2955, 113.433, 109.914]
std = [32.028, 30.614, 30.27]

loading = [
    dict(type='LoadImageFromFile'),
    dict(type='AnomalyMapGenerator', store=map_store, image_root=image_root),
]
# To a square of 256 to 1,024 pixels, the aspect not kept, as the paper's maps are made.
geometry = [
    dict(type='RandomResize', scale=(512, 512), ratio_range=(0.5, 2.0), keep_ratio=False),
    dict(type='RandomCrop', crop_size=(224, 224)),
    dict(type='RandomFlip', prob=0.5),
]
packing = [dict(type='mmpretrain.PackInputs', algorithm_keys=['gt_seg_map'], meta_keys=('img_path', 'img_shape'))]
train_pipeline = [*loading, *geometry, dict(type='PhotoMetricDistortion'), *packing]
# For the rows without anomaly maps, "cls, industrial".
plain_pipeline = [
    loading[0],
    dict(type='mmpretrain.RandomResizedCrop', scale=224),
    dict(type='mmpretrain.RandomFlip', prob=0.5, direction='horizontal'),
    *packing,
]
train_dataloader = dict(
    batch_size=1024,
    num_workers=8,  # not the paper's
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='PseudoBoxDataset', images='images', data_root=data_root, store=map_store, pipeline=train_pipeline))

# A classifier of the sources, its cross-entropy weighted 0.1; configs of other models replace it.
model = dict(
    type='ImageClassifier',
    _scope_='mmpretrain',
    data_preprocessor=dict(mean=mean, std=std, to_rgb=True),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=61, loss=dict(type='CrossEntropyLoss', loss_weight=0.1)))
custom_hooks = [
    dict(type='SourceClassesHook'),
    dict(type='DistillationPretrainer', levels=(-2, -1), loss=dict(type='CosineMapLoss', shift=2.0, scale=2.0)),
]
default_hooks = dict(checkpoint=dict(interval=10))

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=200)
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=1e-4))
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[60, 90, 180], gamma=0.1)]
auto_scale_lr = dict(enable=False, base_batch_size=1024)
# The published runs ask for deterministic=True as well, for which PyTorch needs CUBLAS_WORKSPACE_CONFIG to be set and
# refuses some operations on GPUs; --cfg-options randomness.deterministic=True does.
randomness = dict(seed=2024)
