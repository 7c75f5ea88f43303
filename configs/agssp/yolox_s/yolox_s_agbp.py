# MMDetection has no ImageNet weights of this CSPDarknet: without a checkpoint given with
# --cfg-options load_from=... (its COCO detector, say) the backbone starts from random weights.
_base_ = '../../_base_/agbp_neu_det.py'

from mmengine.hub import get_config

backbone = get_config('mmdet::yolox/yolox_s_8xb8-300e_coco.py').model.backbone.to_dict()
model = dict(backbone=backbone, data_preprocessor=dict(mean=None, std=None, bgr_to_rgb=False))
