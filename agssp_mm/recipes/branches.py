"""Parts of a detector that images with pseudo boxes cannot train, and teachers that its config only names."""
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..engine.walk import walk
from .building import model_class

_MASK_LOADERS = ('LoadAnnotations', 'LoadPanopticAnnotations')
# Below what float32 keeps of any variance that a trained network has.
_LEAST_EPSILON = 1e-12


def drop_semantic_branches(model: dict, scope: str) -> list[str]:
    """Take off what learns from semantic segmentations, which pseudo boxes do not have.

    Args:
        model: Config of a detector, changed in place.
        scope: Registry scope of its types.

    Returns:
        What was dropped, for people.
    """
    dropped = [f'{key} dropped: pseudo boxes hold no semantic segmentation'
               for part in list(walk(model)) for key in _semantic_keys(part) if part.pop(key)]
    if dropped and model.pop('panoptic_fusion_head', None):
        dropped.append('panoptic_fusion_head dropped with it')
        if 'semantic_head' not in model and 'roi_head' in model:
            dropped.append(f'{model_class(model, scope).__name__} became TwoStageDetector, which has the same boxes')
            model['type'] = 'TwoStageDetector'
    return dropped


def inline_teachers(model: dict, folder: Path) -> list[str]:
    """Put the config of a distilling teacher in the place of its path, so that its classes can be changed too.

    Args:
        model: Config of a detector, changed in place.
        folder: Where relative paths start.

    Returns:
        What was read, for people.

    Raises:
        FileNotFoundError: If there is no such config.
    """
    read = []
    for part in list(walk(model)):
        for key, value in part.items():
            if key.endswith('_config') and isinstance(value, str):
                path = next((one for one in (Path(value), folder / value) if one.is_file()), None)
                if path is None:
                    raise FileNotFoundError(f'{key} of the detector: there is no {value}, nor {folder / value}')
                part[key] = dict(model=Config.fromfile(path).model.to_dict())
                read.append(f'{key} {value} written out')
    return read


def replace_grouped_norms(model: dict) -> list[str]:
    """Replace mmcv's synchronised batch norm, which no single process can build, by PyTorch's with the same weights.

    MMEngine turns PyTorch's into a plain one where there is one process.

    Args:
        model: Config of a detector, changed in place.

    Returns:
        What was replaced, for people.
    """
    found = [part for part in walk(model) if part.get('type') == 'MMSyncBN']
    for part in found:
        part['type'] = 'SyncBN'
    return [f'MMSyncBN became SyncBN {len(found)} times: it cannot be built by one process'] if found else []


def give_norms_an_epsilon(model: dict) -> list[str]:
    """Replace an epsilon of 0 in batch norms, which newer PyTorch refuses, by the smallest that changes nothing.

    Args:
        model: Config of a detector, changed in place.

    Returns:
        What was replaced, for people.
    """
    found = [part for part in walk(model) if part.get('eps') == 0 and str(part.get('type')).endswith('BN')]
    for part in found:
        part['eps'] = _LEAST_EPSILON
    return [f'eps of a batch norm 0 became {_LEAST_EPSILON:g}: PyTorch refuses 0'] if found else []


def needs_texts(model: dict) -> bool:
    """Whether a detector is told the names of the classes with every image, as those with a language model are."""
    return any(part.get('language_model') for part in walk(model))


def needs_proposals(model: dict) -> bool:
    """Whether a detector judges proposals that another model made, as Fast R-CNN does."""
    return bool(model.get('roi_head')) and not model.get('rpn_head')


def mask_loading(config: Any) -> dict | None:
    """How a detector's config loads instance masks for training; None where it needs none."""
    for part in walk(config.get('train_dataloader') or {}):
        kind = str(part.get('type', '')).rsplit('.', 1)[-1]
        # Panoptic loading is a kind of its own, whose masks are on unless they are switched off.
        if part.get('with_mask', kind == 'LoadPanopticAnnotations') and kind in _MASK_LOADERS:
            return dict(with_mask=True, poly2mask=part.get('poly2mask', True))
    return None


def _semantic_keys(part: dict) -> list[str]:
    return [key for key, value in part.items() if 'semantic' in key and isinstance(value, (dict, list))]

