_base_ = ['../../_base_/paper/agdp_yolo.py', '../../_base_/models/yolox_swin-b.py']

# Frozen: patch embedding, all stages, all output norms.
model = dict(backbone=dict(frozen_stages=4), bbox_head=dict(num_classes=1))
find_unused_parameters = True  # the backbone freezes when the training starts, after DDP has counted parameters
train_dataloader = dict(batch_size=128)
optim_wrapper = dict(optimizer=dict(weight_decay=5e-4 * 128 / 64))  # mmyolo scales it with the batch
load_from = 'work_dirs/yolox_swin-b_cls_agbp/backbone.pth'
