# The paper starts from ImageNet weights of YOLOv8-s that were not published: without a checkpoint given with
# --cfg-options load_from=... (YOLOX-s of COCO, say) the backbone starts from random weights.
_base_ = '../../_base_/paper/agbp.py'

from mmengine.hub import get_config

backbone = get_config('mmdet::yolox/yolox_s_8xb8-300e_coco.py').model.backbone.to_dict()
backbone.update(type='mmdet.CSPDarknet', frozen_stages=2)  # stem, stage 1 and stage 2
model = dict(backbone=backbone, head=dict(in_channels=512))
find_unused_parameters = True  # the backbone freezes when the training starts, after DDP has counted parameters
