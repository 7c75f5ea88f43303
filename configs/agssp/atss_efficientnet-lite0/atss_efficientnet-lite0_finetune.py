_base_ = './atss_efficientnet-lite0_imagenet.py'

model = dict(backbone=dict(init_cfg=None))
load_from = 'work_dirs/atss_efficientnet-lite0_agdp/detector.pth'
