# The model alone of MMDetection's config, whose schedule and data would clash with ours.
_base_ = []  # tells MMEngine that this is a classic config in spite of the import

from mmengine.hub import get_config

model = get_config('mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py').model.to_dict()
# its neck fails on sides that are no multiple of 32, which crops of images that are not square can have
model['data_preprocessor']['pad_size_divisor'] = 32
