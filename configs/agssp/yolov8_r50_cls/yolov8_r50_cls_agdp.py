# Over the backbone that the row of YOLOX has pretrained: one stage 1 serves both detectors.
_base_ = ['../../_base_/paper/agdp_yolo.py', '../../_base_/models/yolov8_r50.py']

custom_imports = dict(imports=['agssp_mm', 'agssp_mm.models.mmyolo_types'])
model = dict(
    backbone=dict(frozen_stages=4),  # stem and all layers
    bbox_head=dict(head_module=dict(num_classes=1)),
    train_cfg=dict(assigner=dict(num_classes=1)))
train_dataloader = dict(batch_size=80)
optim_wrapper = dict(optimizer=dict(weight_decay=5e-4 * 80 / 64))  # mmyolo scales it with the batch
load_from = 'work_dirs/yolox_r50_cls_agbp/backbone.pth'
