_base_ = ['../../_base_/paper/agdp_yolo.py', '../../_base_/models/yolov8_cspdarknet.py']

custom_imports = dict(imports=['agssp_mm', 'agssp_mm.models.mmyolo_types'])
model = dict(
    backbone=dict(frozen_stages=4, norm_eval=True),  # stem and all stages
    bbox_head=dict(head_module=dict(num_classes=1)),
    train_cfg=dict(assigner=dict(num_classes=1)))
find_unused_parameters = True  # the backbone freezes when the training starts, after DDP has counted parameters
train_dataloader = dict(batch_size=200)
optim_wrapper = dict(optimizer=dict(lr=0.01, weight_decay=5e-4 * 200 / 64))  # mmyolo scales it with the batch
load_from = 'work_dirs/yolov8_cspdarknet_cls_agbp/backbone.pth'
