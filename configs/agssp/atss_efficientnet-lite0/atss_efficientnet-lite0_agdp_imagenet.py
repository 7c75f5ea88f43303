_base_ = ['../../_base_/agdp_imagenet_neu_det.py', '../../_base_/models/atss_efficientnet-lite0.py']

model = dict(bbox_head=dict(num_classes=1))
