# Stage 2 of the demo.
_base_ = '../agssp/retinanet_efficientnet-lite0/retinanet_efficientnet-lite0_agdp.py'

demo_dir = '{{$AGSSP_DEMO_DIR:work_dirs/demo}}'
data_root = demo_dir + '/data/'
map_store = demo_dir + '/maps'
image_size = (160, 160)

# Made images with more of what made them pasted on would know the validation images' defects. Pieces of the images
# themselves do not, and pay here; on NEU-DET they do not (docs/research.md).
train_pipeline = [dict(type='PasteTextures') if step.type == 'PasteDefects' else step for step in _base_.train_pipeline]
train_pipeline[2].update(scale=image_size)
train_pipeline[3].update(crop_size=image_size)
train_dataloader = dict(
    dataset=dict(
        images='annotations/train_unlabelled.json',
        image_root='images',
        data_root=data_root,
        store=map_store,
        pipeline=train_pipeline))

# from 12 pixels on, up to four times as long as wide
model = dict(bbox_head=dict(anchor_generator=dict(octave_base_scale=1.5, ratios=[0.25, 1.0, 4.0])))

max_epochs = 6
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(T_max=max_epochs)
load_from = demo_dir + '/agbp/backbone.pth'
work_dir = demo_dir + '/agdp'
