# DINO over four scales with Swin-B (window 6, as SimMIM has it), the normalisation of stage 1, and what the paper
# changes: 100 queries, 300 denoising queries, positional encoding, focal loss weighted 2.
_base_ = []  # tells MMEngine that this is a classic config in spite of the import

from mmengine.hub import get_config

model = get_config('mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py').model.to_dict()
model['data_preprocessor'].update(mean=[110.2955, 113.433, 109.914], std=[32.028, 30.614, 30.27], bgr_to_rgb=True)
model['backbone'] = dict(
    type='mmdet.SwinTransformer',
    embed_dims=128,
    depths=[2, 2, 18, 2],
    num_heads=[4, 8, 16, 32],
    window_size=6,
    drop_path_rate=0.3,
    out_indices=(1, 2, 3))
model['neck']['in_channels'] = [256, 512, 1024]
model['num_queries'] = 100
model['dn_cfg']['group_cfg'].update(num_groups=None, num_dn_queries=300)
model['positional_encoding'].update(temperature=10000, offset=-0.5)
model['bbox_head']['loss_cls']['loss_weight'] = 2.0
