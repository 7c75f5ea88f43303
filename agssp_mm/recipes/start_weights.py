"""Which weights a pretraining starts from."""
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmengine.hub import get_config

from ..checkpoints.reading import read_checkpoint, weights_of
from ..checkpoints.report import compare_weights
from ..engine.weight_sources import last_name
from .building import build, without_weights
from .reachability import loads_weights, missing_files
from .source_detector import SourceDetector

_LEAST_SHARE = 0.5


def resolve_start(start: str, source: Any, detector: SourceDetector, strict: bool = False,
                  allow_partial: bool = False) -> tuple[str, bool]:
    """Find the checkpoint to start from and check that it belongs to the detector.

    Args:
        start: "imagenet" (the initial weights that the config itself names; those of the whole detector,
            ``model.init_cfg``, are returned as a file), "none", "coco" (the checkpoint that
            MMDetection publishes for the config), or a file or URL.
        source: What the detector was read from.
        detector: The detector.
        strict: Refuse a file that lacks any tensor of the backbone, or has it in another shape.
        allow_partial: Take a file of which any tensor of the backbone fits.

    Returns:
        "imagenet", "none" or a checkpoint, and whether that holds a backbone without the prefix ``backbone.``.

    Raises:
        FileNotFoundError: If there is no such checkpoint, or it cannot be reached; or if the config itself is to name
            it and that file does not exist.
        ValueError: If it is none, fits less than it has to, or was made for another architecture; or if MMDetection has
            none.
    """
    if strict and allow_partial:
        raise ValueError('strict wants every tensor and allow_partial any: give one of them')
    if start == 'imagenet':
        _check_own_files(detector)
        start = _own_file(detector) or start
    if start in ('imagenet', 'none'):
        return start, False
    if start == 'coco':
        start = _published(source, detector)
    weights = weights_of(read_checkpoint(start))
    own = {name.removeprefix('backbone.'): value for name, value in weights.items() if name.startswith('backbone.')}
    backbone = build(without_weights(detector.model['backbone']), detector.scope)
    report = compare_weights(backbone.state_dict(), own or weights)
    if not (report.matched if allow_partial else report.matched_share >= _LEAST_SHARE):
        raise ValueError(f'start: {start} was made for another architecture than the {type(backbone).__name__} of '
                         f'{detector.name}: {report.matched_share:.0%} of the tensors match, at least '
                         f'{_LEAST_SHARE:.0%} are needed.\n{report.text()}')
    if strict and (report.missing or report.wrong_shape):
        raise ValueError(f'start: {start} does not fit the backbone to the last tensor, as strict wants it.\n'
                         f'{report.text()}')
    return str(start if '://' in str(start) else Path(start).expanduser()), not own


def start_notes(detector: SourceDetector, start: str) -> tuple[str, ...]:
    """What a user may not expect of the weights that a pretraining starts from.

    Args:
        detector: The detector.
        start: As :func:`resolve_start` returned it.
    """
    if start != 'imagenet':
        return ()
    notes, load_from = [], detector.config.get('load_from')
    if load_from:
        notes.append(f'load_from of the config is not used; give --start {load_from} to start from it')
    if loads_weights(dict(init_cfg=detector.model.get('init_cfg'))):
        notes.append('init_cfg of the detector as a whole is not used; give --start FILE to start from its weights')
    if not loads_weights(detector.model['backbone']):
        notes.append('the backbone starts from random numbers, because the config has no initial weights for it that '
                     'can be had here; give --start FILE to start from weights')
    return tuple(notes)


def _check_own_files(detector: SourceDetector) -> None:
    """A path that leads nowhere is a mistake; an unreachable host need not be one, and has its note."""
    missing = missing_files(detector.config.model.to_dict())
    if missing:
        raise FileNotFoundError(f'start: {detector.name} starts from {", ".join(missing)}, which does not exist below '
                                f'{Path.cwd()}; correct the path in the config, or give --start FILE, or --start none')


def _own_file(detector: SourceDetector) -> str | None:
    """The checkpoint of the whole detector that its config starts from."""
    own = detector.model.get('init_cfg')
    if isinstance(own, dict) and last_name(own.get('type')) == 'Pretrained' and not own.get('prefix'):
        return own.get('checkpoint')
    return None


def _published(source: Any, detector: SourceDetector) -> str:
    given = str(source)
    if '::' in given:
        # What MMEngine raises where a config is unknown, or known without a checkpoint: the error below says it.
        with suppress(AssertionError, AttributeError, ValueError):
            return get_config(given, pretrained=True).model_path
    raise ValueError(f'start: MMDetection publishes no checkpoint for {detector.name}; give a config by its published '
                     'name, such as mmdet::retinanet/retinanet_r50_fpn_1x_coco.py, or the file or URL of a checkpoint')
