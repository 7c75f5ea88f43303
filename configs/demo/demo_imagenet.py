# The demo's baseline: fine-tuning on its few labelled images from ImageNet weights alone.
_base_ = '../agssp/retinanet_efficientnet-lite0/retinanet_efficientnet-lite0_imagenet.py'

demo_dir = '{{$AGSSP_DEMO_DIR:work_dirs/demo}}'
data_root = demo_dir + '/data/'
image_size = (160, 160)
metainfo = dict(classes=('scratch', 'pit', 'inclusion', 'crack', 'patch', 'scale'))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=image_size, keep_ratio=True),  # too short a training for crops to pay
    dict(type='RandomFlip', prob=[0.33, 0.33], direction=['horizontal', 'vertical']),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackDetInputs'),
]
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(scale=image_size)
dataset = dict(data_root=data_root, metainfo=metainfo, data_prefix=dict(img='images/'))
train_dataloader = dict(
    batch_size=4,
    dataset=dict(**dataset, ann_file='annotations/train_few.json', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**dataset, ann_file='annotations/val.json', pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/val.json')
test_evaluator = val_evaluator

# from 12 pixels on, up to four times as long as wide
model = dict(bbox_head=dict(anchor_generator=dict(octave_base_scale=1.5, ratios=[0.25, 1.0, 4.0])))

max_epochs = 18
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(T_max=max_epochs)
work_dir = demo_dir + '/imagenet'
