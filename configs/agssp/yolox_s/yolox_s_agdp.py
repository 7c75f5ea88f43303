_base_ = ['../../_base_/agdp_neu_det.py', '../../_base_/models/yolox_s.py']

model = dict(
    data_preprocessor=dict(batch_augments=None),  # its sizes of 480 to 800 pixels do not suit 200-pixel images
    backbone=dict(norm_eval=True),
    bbox_head=dict(num_classes=1))
load_from = 'work_dirs/yolox_s_agbp/backbone.pth'
