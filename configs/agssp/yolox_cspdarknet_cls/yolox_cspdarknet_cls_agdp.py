_base_ = ['../../_base_/paper/agdp_yolo.py', '../../_base_/models/yolox_cspdarknet.py']

model = dict(backbone=dict(frozen_stages=4, norm_eval=True), bbox_head=dict(num_classes=1))  # stem and all stages
find_unused_parameters = True  # the backbone freezes when the training starts, after DDP has counted parameters
train_dataloader = dict(batch_size=200)
optim_wrapper = dict(optimizer=dict(lr=0.01, weight_decay=5e-4 * 200 / 64))  # mmyolo scales it with the batch
load_from = 'work_dirs/yolox_cspdarknet_cls_agbp/backbone.pth'
