# Stage 1 of the demo: its own images and a size that suits two CPU cores. tools/demo.py makes data and maps.
_base_ = '../agssp/retinanet_efficientnet-lite0/retinanet_efficientnet-lite0_agbp.py'

demo_dir = '{{$AGSSP_DEMO_DIR:work_dirs/demo}}'
data_root = demo_dir + '/data/'
image_root = data_root + 'images'
map_store = demo_dir + '/maps'
crop_size = (160, 160)

train_pipeline = _base_.train_pipeline
train_pipeline[1].update(store=map_store, image_root=image_root)
train_pipeline[2].update(scale=crop_size)
train_pipeline[3].update(crop_size=crop_size)
val_pipeline = _base_.val_pipeline
val_pipeline[1].update(store=map_store, image_root=image_root)
val_pipeline[2].update(scale=crop_size)

dataset = dict(
    images='annotations/train_unlabelled.json', image_root='images', data_root=data_root, store=map_store,
    held_out=16)
train_dataloader = dict(dataset=dict(**dataset, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**dataset, pipeline=val_pipeline))

max_epochs = 5
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(T_max=max_epochs)
work_dir = demo_dir + '/agbp'
