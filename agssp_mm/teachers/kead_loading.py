"""Loading an open_clip model from a tag or files; what cannot fit is refused before anything is fetched."""
import difflib
import json
import logging
import pickle
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from torch import nn

from agssp_mm._dependencies import import_optional
from agssp_mm.teachers.kead_model import ClipModel
from agssp_mm.teachers.vv_attention import check_tower

_WEIGHT_SUFFIXES = ('.pt', '.pth', '.bin', '.safetensors')


def load_clip(model: str, pretrained: str, image_size: int | None = None,
              weights: str | Path | None = None) -> ClipModel:
    """Load an open_clip model for KeAD.

    Args:
        model: Name of an open_clip model, or path of an open_clip model config (JSON).
        pretrained: Pretrained tag of that model, or path of a weights file (safetensors or a PyTorch file of
            plain tensors).
        image_size: Side of the square input in pixels; position embeddings are interpolated to it (bicubic).
            Default: that of the model.
        weights: File with the weights of the tag, fetched elsewhere. The tag says which activation and normalisation
            they were trained with; a path as ``pretrained`` cannot.

    Raises:
        FileNotFoundError: If a file does not exist, or the weights of a tag are not on the machine and cannot
            be had.
        ImportError: If open_clip is not installed.
        ValueError: If model or tag are unknown, the vision tower does not fit, or the weights do not.
    """
    open_clip = import_optional('open_clip', 'KeADTeacher', 'open_clip_torch>=2.29,<4')
    config, known_as = read_config(model, image_size)
    tag = open_clip.get_pretrained_cfg(known_as, pretrained) if known_as else {}
    if weights is not None:
        _check_tag(pretrained, tag, model)
    elif known_as and not tag:
        _warn_of_tags_that_differ(known_as, pretrained)
    file = _local_weights(model, known_as, pretrained if weights is None else str(weights), tag)
    if tag.get('quick_gelu'):
        config['quick_gelu'] = True
    built = build_model(config, model)
    _load_weights(built, file or _fetch(tag, model, pretrained), model)
    text = config['text_cfg']
    tokenizer = (open_clip.get_tokenizer(known_as) if known_as
                 else open_clip.SimpleTokenizer(context_length=text.get('context_length', 77)))
    return ClipModel(built.eval().requires_grad_(False), tokenizer, config,
                     tuple(tag.get('mean') or open_clip.OPENAI_DATASET_MEAN),
                     tuple(tag.get('std') or open_clip.OPENAI_DATASET_STD))


def read_config(model: str, image_size: int | None = None) -> tuple[dict[str, Any], str | None]:
    """The open_clip config of a model, and its name if open_clip knows it; see :func:`load_clip`.

    Raises:
        FileNotFoundError: If the config file does not exist.
        ValueError: If there is no such model, or the config shows that its vision tower or the image size do
            not fit.
    """
    config, known_as = _find_config(model)
    _check_config(config, model, image_size)
    return config, known_as


def _find_config(model: str) -> tuple[dict[str, Any], str | None]:
    import open_clip
    if not str(model).endswith('.json'):
        config = open_clip.get_model_config(model) if ':' not in str(model) else None
        if config is None:
            names = open_clip.list_models()
            close = difflib.get_close_matches(str(model), names, n=3, cutoff=0.3)
            raise ValueError(f'unknown open_clip model {model!r}; did you mean one of {close}? Give one of '
                             f'the {len(names)} names of open_clip.list_models(), or the path of a model '
                             'config (.json)')
        return config, model
    path = Path(model)
    if not path.is_file():
        raise FileNotFoundError(f'model config {path} does not exist')
    try:
        config = json.loads(path.read_text(encoding='utf-8'))
        missing = {'embed_dim', 'vision_cfg', 'text_cfg'} - set(config)
    except (ValueError, TypeError) as error:
        raise ValueError(f'model config {path} is not a JSON object: {error}') from error
    if missing:
        raise ValueError(f'model config {path} lacks {sorted(missing)}; give the JSON of an open_clip model')
    foreign = sorted({'hf_model_name', 'hf_tokenizer_name'} & set(config['text_cfg']))
    if foreign:
        raise ValueError(f'model config {path} has {foreign[0]}: texts of that kind need a tokenizer of their own, '
                         'which is built for models that open_clip knows by name; give that name')
    return config, None


def _check_config(config: dict[str, Any], model: str, image_size: int | None) -> None:
    """Refuse what the config already shows, before anything is fetched, and set the image size."""
    vision = config['vision_cfg']
    if 'timm_model_name' in vision:
        raise ValueError(f'the vision tower of {model!r} does not fit: it is the timm model '
                         f"{vision['timm_model_name']!r}; needed is a plain vision transformer with a class "
                         "token, such as 'ViT-B-16-plus-240', 'ViT-B-16' or 'ViT-L-14'")
    if isinstance(vision.get('layers'), list):
        raise ValueError(f'the vision tower of {model!r} does not fit: it is a ResNet; needed is a plain '
                         "vision transformer with a class token, such as 'ViT-B-16-plus-240', 'ViT-B-16' or "
                         "'ViT-L-14'")
    if image_size is not None:
        patch = vision.get('patch_size', 16)
        if not isinstance(image_size, int) or image_size < patch or image_size % patch:
            raise ValueError(f'image_size must be a multiple of the patch size {patch} of {model!r}, '
                             f'got {image_size}')
        vision['image_size'] = image_size
    size = vision.get('image_size', 224)
    if not isinstance(size, int) and len(set(size)) > 1:
        raise ValueError(f'the model {model!r} takes {size} images; KeAD needs a square input')


def _local_weights(model: str, known_as: str | None, pretrained: str, tag: dict[str, Any]) -> Path | None:
    import open_clip
    path = Path(pretrained)
    if path.is_file():
        return path
    if path.suffix in _WEIGHT_SUFFIXES or len(path.parts) > 1:
        raise FileNotFoundError(f'weights file {path} does not exist')
    if not tag:
        tags = open_clip.list_pretrained_tags_by_model(known_as) if known_as else []
        raise ValueError(f'unknown weights {pretrained!r} for {model!r}; give the path of a weights file'
                         f'{f" or one of the tags {tags}" if tags else ""}')
    return None


def _check_tag(pretrained: str, tag: dict[str, Any], model: str) -> None:
    if not tag:
        raise ValueError(f'weights go with the pretrained tag that they belong to, but {pretrained!r} is no tag of '
                         f'{model!r}; give the tag, or the file alone as pretrained')


def _warn_of_tags_that_differ(known_as: str, pretrained: str) -> None:
    import open_clip
    tags = open_clip.list_pretrained_tags_by_model(known_as)
    configs = [open_clip.get_pretrained_cfg(known_as, name) for name in tags]
    if len({str([config.get(key) for key in ('quick_gelu', 'mean', 'std')]) for config in configs}) > 1:
        print_log(f'the published weights of {known_as} differ in activation or normalisation, which {pretrained} does '
                  'not say; if they are those of a tag, give pretrained=TAG and weights=FILE', 'current',
                  logging.WARNING)


def _fetch(tag: dict[str, Any], model: str, pretrained: str) -> Path:
    import open_clip
    # open_clip's table gives both tags of ViT-B-16-plus-240 the hub repository of laion400m_e31: where tags
    # share a repository, the release file is the one that is meant.
    repositories = [open_clip.get_pretrained_cfg(model, other).get('hf_hub')
                    for other in open_clip.list_pretrained_tags_by_model(model)]
    shared = repositories.count(tag.get('hf_hub')) > 1
    try:
        return Path(open_clip.download_pretrained(tag, prefer_hf_hub=not (shared and tag.get('url'))))
    except Exception as error:  # whatever the hub's client raises, the way out is the same
        raise FileNotFoundError(
            f'the weights {pretrained!r} of {model!r} are neither on this machine nor can they be fetched '
            f'({type(error).__name__}: {error}); fetch them where there is a network and give their path as '
            'weights'
        ) from error


def build_model(config: dict[str, Any], model: str) -> nn.Module:
    """Build a model with initial weights, which it does not move PyTorch's global seed for.

    Raises:
        ValueError: If the config is not one of open_clip, or the vision tower does not fit.
    """
    import open_clip
    config = json.loads(json.dumps(config))
    custom_text = config.pop('custom_text', False) or 'hf_model_name' in config['text_cfg']
    if 'hf_model_name' in config['text_cfg']:
        config['text_cfg']['hf_model_pretrained'] = False
    if config.pop('multimodal_cfg', None):
        raise ValueError(f'the model {model!r} does not fit: it is a CoCa model, which pools by attention')
    try:
        with torch.random.fork_rng(devices=[]):
            built = (open_clip.CustomTextCLIP if custom_text else open_clip.CLIP)(**config)
    except (TypeError, AssertionError, KeyError) as error:
        raise ValueError(f'open_clip cannot build the model {model!r}: '
                         f'{type(error).__name__}: {error}') from error
    check_tower(built.visual, model)
    return built


def _load_weights(built: nn.Module, weights: Path, model: str) -> None:
    import open_clip
    try:
        open_clip.load_checkpoint(built, str(weights), weights_only=True)
    except (RuntimeError, KeyError, ValueError, AttributeError, AssertionError, EOFError,
            pickle.UnpicklingError) as error:
        if 'TorchScript' in str(error):
            raise ValueError(f'{weights} is a TorchScript archive, which holds code beside the weights; save the '
                             'state_dict of what torch.jit.load makes of it, or take a safetensors file') from error
        # PyTorch lists every key that does not fit: thousands of characters for a foreign model.
        raise ValueError(f'the weights in {weights} do not fit the model {model!r}: '
                         f'{" ".join(str(error).split())[:400]}') from error
