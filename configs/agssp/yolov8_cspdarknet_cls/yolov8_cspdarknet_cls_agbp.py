# The paper starts from ImageNet weights of YOLOv8-s that were not published: without a checkpoint given with
# --cfg-options load_from=... (MMYOLO's YOLOv8-s of COCO, say) the backbone starts from random weights.
_base_ = '../../_base_/paper/agbp.py'

custom_imports = dict(imports=['agssp_mm', 'agssp_mm.models.mmyolo_types'])
model = dict(
    backbone=dict(
        type='mmyolo.YOLOv8CSPDarknet',
        deepen_factor=0.33,
        widen_factor=0.5,
        norm_cfg=dict(type='BN', momentum=0.03, eps=0.001),
        act_cfg=dict(type='SiLU', inplace=True),
        frozen_stages=2),  # stem, stage 1 and stage 2
    head=dict(in_channels=512))
find_unused_parameters = True  # the backbone freezes when the training starts, after DDP has counted parameters
