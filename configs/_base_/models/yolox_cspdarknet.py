# YOLOX-s with the normalisation of stage 1; MMDetection's own feeds values from 0 to 255, and in five sizes.
_base_ = []  # tells MMEngine that this is a classic config in spite of the import

from mmengine.hub import get_config

model = get_config('mmdet::yolox/yolox_s_8xb8-300e_coco.py').model.to_dict()
model['data_preprocessor'].update(
    mean=[110.2955, 113.433, 109.914], std=[32.028, 30.614, 30.27], bgr_to_rgb=True, batch_augments=None)
