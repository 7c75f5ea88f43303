# Stage 2 alone: most of the gain of both stages on NEU-DET, on maps of the teachers texture and normalized-cut together
# (docs/results.md).
_base_ = ['../../_base_/agdp_imagenet_neu_det.py', '../../_base_/models/retinanet_efficientnet-lite0.py']

model = dict(bbox_head=dict(num_classes=1))
