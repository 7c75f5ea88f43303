_base_ = '../../_base_/agbp_neu_det.py'

from mmengine.hub import get_config

backbone = get_config('mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py').model.backbone.to_dict()
backbone.update(frozen_stages=2, norm_eval=False)  # method of the paper: stem, layer 1 and layer 2 stay
model = dict(backbone=backbone)
