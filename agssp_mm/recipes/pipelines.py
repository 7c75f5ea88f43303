"""The data pipelines of the stages: short, geometric and photometric, the same for every detector."""
from typing import Any

from ..engine.walk import walk

_FLIP = dict(type='RandomFlip', prob=[0.33, 0.33], direction=['horizontal', 'vertical'])
_TEST_KEYS = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
_TRAIN_KEYS = (*_TEST_KEYS, 'flip', 'flip_direction')
_TEXT_KEYS = ('text', 'custom_entities')


def agbp_pipelines(image_size: int, loader: dict, carrier: dict) -> tuple[list[dict], list[dict]]:
    """Pipelines for training and validation of stage 1.

    Args:
        image_size: Side of the square crops in pixels.
        loader: Config of the transform that reads the images.
        carrier: Config of the AnomalyMapGenerator.
    """
    size = (image_size, image_size)
    pack = dict(type='PackDetInputs', meta_keys=('img_path', 'img_shape'))
    load = [dict(loader), carrier]
    train = [*load, *_random_crop(size), dict(_FLIP), dict(type='PhotoMetricDistortion'), pack]
    return train, [*load, dict(type='Resize', scale=size, keep_ratio=True), pack]


def agdp_pipelines(image_size: int, loader: dict, masks: dict | None, fixed: bool, proposals: bool = False,
                   texts: bool = False, paste: bool = True) -> tuple[list[dict], list[dict]]:
    """Pipelines of stage 2: the usual one, and the plain one that hooks switch to near the end.

    Args:
        image_size: Longer side in pixels.
        loader: Config of the transform that reads the images.
        masks: Settings of LoadAnnotations for masks; None without.
        fixed: Pad every image to a square.
        proposals: Make proposals, for detectors that do not make their own.
        texts: Hand on the names of the classes, for detectors with a language model.
        paste: Paste made defects beside the pseudo boxes.
    """
    size = (image_size, image_size)
    pasted = [dict(type='PasteDefects')] if paste else []
    usual = _train_pipeline(size, loader, [*_random_crop(size), *_small_boxes(), *pasted], masks, fixed, texts)
    plain = _train_pipeline(size, loader, [*_whole(size), *_small_boxes()], masks, fixed, texts)
    if proposals:
        for pipeline in (usual, plain):
            pipeline.insert(-1, dict(type='PseudoProposals'))
    return usual, plain


def finetune_pipelines(image_size: int, loader: dict, masks: dict | None, fixed: bool, original: Any,
                       texts: bool = False, sound: bool = False) -> tuple[list[dict], list[dict]]:
    """Pipelines for training and testing of the fine-tuning.

    Args:
        image_size: Longer side in pixels.
        loader: Config of the transform that reads the images.
        masks: Settings of LoadAnnotations for masks; None without.
        fixed: Pad every image to a square.
        original: The test data loader of the user's config: where it centres images on a padded canvas, as the
            CenterNets need it, so does this pipeline.
        texts: Hand on the names of the classes, for detectors with a language model.
        sound: Whether some of the images have no box.
    """
    size = (image_size, image_size)
    # RandomCrop would leave out all images without a box, and draws others in place of crops without one.
    cropped = _random_crop(size, **(dict(allow_negative_crop=True) if sound else {}))
    train = _train_pipeline(size, loader, [*cropped, *_small_boxes()], masks, fixed, texts)
    canvas = [dict(part) for part in walk(original or {}) if part.get('type') == 'RandomCenterCropPad'][:1]
    keys = (*_TEST_KEYS, 'border') if canvas else _TEST_KEYS
    test: list[dict] = [dict(loader), *_whole(size), *canvas, *([] if canvas else _pad(size, fixed)),
            dict(type='LoadAnnotations', with_bbox=True, **_mask_settings(masks)),
            _pack(keys, texts)]
    return train, test


def _train_pipeline(size: tuple[int, int], loader: dict, geometry: list[dict], masks: dict | None, fixed: bool,
                    texts: bool) -> list[dict]:
    return [*_load(loader, masks), *geometry, dict(_FLIP), dict(type='PhotoMetricDistortion'), *_pad(size, fixed),
            _pack(_TRAIN_KEYS, texts)]


def _pack(keys: tuple[str, ...], texts: bool) -> dict:
    if keys == _TRAIN_KEYS and not texts:
        return dict(type='PackDetInputs')  # its own keys
    return dict(type='PackDetInputs', meta_keys=(*keys, *_TEXT_KEYS) if texts else keys)


def _load(loader: dict, masks: dict | None) -> list[dict]:
    return [dict(loader), dict(type='LoadAnnotations', with_bbox=True, **_mask_settings(masks))]


def _mask_settings(masks: dict | None) -> dict:
    return dict(masks or {})


def _random_crop(size: tuple[int, int], **more: Any) -> list[dict]:
    return [dict(type='RandomResize', scale=size, ratio_range=(1.0, 1.5), keep_ratio=True),
            dict(type='RandomCrop', crop_size=size, **more)]


def _whole(size: tuple[int, int]) -> list[dict]:
    return [dict(type='Resize', scale=size, keep_ratio=True)]


def _small_boxes() -> list[dict]:
    # What a crop leaves of a box may be less than a pixel.
    return [dict(type='FilterAnnotations', min_gt_bbox_wh=(1, 1), keep_empty=False)]


def _pad(size: tuple[int, int], fixed: bool) -> list[dict]:
    return [dict(type='Pad', size=size, pad_val=dict(img=114, masks=0))] if fixed else []
