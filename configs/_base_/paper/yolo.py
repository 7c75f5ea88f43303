# What AGDP and fine-tuning of the YOLO rows share. The paper trains YOLOv8-s of mmyolo; this is its recipe (mosaic,
# affine, HSV, flip; SGD, linear decay to 1 %, warm-up over 3 epochs, EMA) round MMDetection's YOLOX. Numbers without a
# comment of their own are the paper's, or of the mmyolo recipe that it builds on.
_base_ = '../runtime.py'

image_size = (640, 640)
mosaic_pipeline = [
    dict(type='Mosaic', img_scale=image_size, pad_val=114.0),
    dict(type='RandomAffine', max_rotate_degree=0.0, max_shear_degree=0.0, scaling_ratio_range=(0.5, 1.5),
         border=(-image_size[0] // 2, -image_size[1] // 2), border_val=(114, 114, 114)),
    dict(type='YOLOXHSVRandomAug'),
    dict(type='RandomFlip', prob=0.5),
    # These two do nothing to a mosaic; they serve the last epochs, which have none.
    dict(type='Resize', scale=image_size, keep_ratio=True),
    dict(type='Pad', pad_to_square=True, pad_val=dict(img=(114.0, 114.0, 114.0))),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1, 1), keep_empty=False),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=image_size, keep_ratio=True),
    dict(type='Pad', pad_to_square=True, pad_val=dict(img=(114.0, 114.0, 114.0))),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
train_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='MultiImageMixDataset',
        dataset=dict(pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)]),
        pipeline=mosaic_pipeline))

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.0025, momentum=0.937, weight_decay=5e-4, nesterov=True),
    clip_grad=dict(max_norm=10.0),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, bypass_duplicate=True))
auto_scale_lr = dict(enable=False)
randomness = dict(seed=2024)
