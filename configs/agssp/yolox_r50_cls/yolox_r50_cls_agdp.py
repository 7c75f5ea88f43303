_base_ = ['../../_base_/paper/agdp_yolo.py', '../../_base_/models/yolox_r50.py']

model = dict(backbone=dict(frozen_stages=4), bbox_head=dict(num_classes=1))  # stem and all layers
train_dataloader = dict(batch_size=80)
optim_wrapper = dict(optimizer=dict(weight_decay=5e-4 * 80 / 64))  # mmyolo scales it with the batch
load_from = 'work_dirs/yolox_r50_cls_agbp/backbone.pth'
