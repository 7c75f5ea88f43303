# Faster R-CNN with Swin-B (window 6, as SimMIM has it) and the normalisation of stage 1.
_base_ = []  # tells MMEngine that this is a classic config in spite of the import

from mmengine.hub import get_config

model = get_config('mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py').model.to_dict()
model['data_preprocessor'].update(mean=[110.2955, 113.433, 109.914], std=[32.028, 30.614, 30.27], bgr_to_rgb=True)
model['backbone'] = dict(
    type='mmdet.SwinTransformer',
    embed_dims=128,
    depths=[2, 2, 18, 2],
    num_heads=[4, 8, 16, 32],
    window_size=6,
    drop_path_rate=0.3,
    out_indices=(0, 1, 2, 3))
model['neck']['in_channels'] = [128, 256, 512, 1024]
