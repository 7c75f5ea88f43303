"""Rewriting a checkpoint: part of its tensors, under the names of another library, with where they come from."""
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from agssp_mm.checkpoints.conversion import LIBRARIES, PARTS, Conversion, convert_weights
from agssp_mm.checkpoints.export import plain, save_checkpoint
from agssp_mm.checkpoints.reading import read_checkpoint, sha256, weights_of

# What tells how weights were made; the rest of MMEngine's `meta` and `message_hub` is state of a run.
_KEPT = ('config', 'cfg', 'epoch', 'iter', 'seed', 'data', 'parents', 'dataset_meta', 'made_from')
_SNIPPETS = {
    'mmdet': "model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='{path}', prefix='backbone.')))",
    'torchvision': "model.load_state_dict(torch.load('{path}', weights_only=True)['state_dict'], strict=False)",
    'timm': "model.load_state_dict(torch.load('{path}', weights_only=True)['state_dict'], strict=False)",
    'detectron2': "cfg.MODEL.WEIGHTS = '{path}'",
    'detector': "load_from = '{path}'",
}


@dataclass(frozen=True)
class Repacked:
    """What was written.

    Attributes:
        path: The file.
        num_tensors: How many tensors it holds.
        text: What was left out and what a user has to know, in lines; may be empty.
        snippet: What to write to load the file.
    """

    path: Path
    num_tensors: int
    text: str
    snippet: str


def export_checkpoint(source: str | Path, out: str | Path, part: str = 'backbone', library: str = 'mmdet',
                      trust: bool = False, allow_partial: bool = False) -> Repacked:
    """Write the weights of one of our checkpoints as a plain file.

    Args:
        source: Checkpoint of MMEngine: of a run (averaged weights where an EMAHook ran), or an exported one.
        out: File to write.
        part: "backbone", or "detector" for every tensor.
        library: Whose names the part gets; of whole detectors, those of `DETECTORS` can get others.
        trust: Unpickle what a plain read refuses.
        allow_partial: Leave out what the other library has no place for.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If a setting is unknown, the file holds no such part, or the part cannot be converted.
    """
    if part not in PARTS:
        raise ValueError(f'part must be one of {", ".join(PARTS)}, got {part!r}')
    content = read_checkpoint(source, trust)
    weights = weights_of(content)
    if not weights:
        raise ValueError(f'{source} holds no tensors')
    if part == 'backbone':
        backbone = {name: value for name, value in weights.items() if name.startswith('backbone.')}
        if not backbone:
            raise ValueError(f'{source} has no tensor whose name starts with "backbone." (they are called '
                             f'{", ".join(list(weights)[:3])}, ...); rename a bare backbone with agssp convert')
        if library == 'mmdet' or library == 'mmpretrain' and not _is_deep_stemmed(backbone):
            return _write(out, backbone, content, source, 'mmdet')
        return _write_converted(out, convert_weights(backbone, 'mmdet', library, None, allow_partial), content, source,
                                library)
    if library == 'mmdet':
        return _write(out, weights, content, source, 'detector')
    return _write_converted(out, convert_weights(weights, 'mmdet', library, None, allow_partial, part), content,
                            source, library)


def convert_checkpoint(source: str | Path, out: str | Path, source_library: str, library: str,
                       architecture: str | None = None, trust: bool = False, allow_partial: bool = False,
                       part: str = 'backbone') -> Repacked:
    """Write the weights of a backbone or a detector under the names of another library; see `convert_weights`.

    Args:
        source: File that is read; see `read_checkpoint`.
        out: File to write.
        source_library: Whose names it has.
        library: Whose names it gets.
        architecture: Family of the part; found out if None.
        trust: Unpickle what a plain read refuses.
        allow_partial: Leave out tensors that cannot be converted.
        part: "backbone", or "detector" for neck and heads too.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If it cannot be read or converted.
    """
    content = read_checkpoint(source, trust)
    # The authors of Swin and ConvNeXt, and Detectron2, keep their tensors under `model`.
    weights = weights_of(content) or weights_of(dict(state_dict=content.get('model')))
    conversion = convert_weights(weights, source_library, library, architecture, allow_partial, part)
    key = 'detector' if part == 'detector' and library == 'mmdet' else None
    return _write_converted(out, conversion, content, source, library, key)


def _is_deep_stemmed(state: Mapping[str, Tensor]) -> bool:
    """The one case in which MMDetection and MMPretrain name a backbone's layers differently (ResNet-C, ResNet-D)."""
    return 'backbone.stem.0.weight' in state and 'backbone.layer1.0.conv1.weight' in state


def _write_converted(out: str | Path, conversion: Conversion, content: Mapping[str, Any], source: str | Path,
                     library: str, key: str | None = None) -> Repacked:
    key = key or ('mmdet' if library == 'mmpretrain' else library)
    written = _write(out, conversion.state, content, source, key,
                     dict(library=library, architecture=conversion.architecture))
    return replace(written, text=_summary(conversion))


def _write(out: str | Path, state: Mapping[str, Tensor], content: Mapping[str, Any], source: str | Path, key: str,
           more: Mapping[str, Any] | None = None) -> Repacked:
    out = Path(out)
    if out.resolve() == Path(source).resolve():
        raise ValueError(f'{out} is the file that is read; give another one to write')
    meta = {**_inherited(content), **(more or {}),
            'made_from': dict(checkpoint=Path(str(source)).name, sha256=sha256(source),
                              made_from=_inherited(content).get('made_from'))}
    if key == 'detectron2':
        # Its checkpointer looks for `model`, and with this flag matches names by their ends, whatever the prefix.
        save_checkpoint(out, state, meta, weights_key='model', matching_heuristics=True)
    else:
        save_checkpoint(out, state, meta)
    return Repacked(out, len(state), '', _SNIPPETS[key].format(path=out))


def _inherited(content: Mapping[str, Any]) -> dict[str, Any]:
    """Take over what tells how the weights were made, as far as it is plain."""
    meta = content.get('meta')
    kept: dict[str, Any] = {}
    meta = meta if isinstance(meta, Mapping) else {}
    for key in _KEPT:
        try:
            kept.update({key: plain(meta[key])} if key in meta else {})
        except ValueError:  # an object: only a trusted file can hold one, and it stays behind
            continue
    return kept


def _summary(conversion: Conversion) -> str:
    lines = [f'architecture: {conversion.architecture}']
    if conversion.other_parts:
        parts = sorted({name.split('.', 1)[0] for name in conversion.other_parts})
        lines.append(f'{len(conversion.other_parts)} tensors of other parts left out: {", ".join(parts)}')
    if conversion.unknown:
        lines.append(f'{len(conversion.unknown)} unknown tensors left out: {", ".join(conversion.unknown)}')
    for reason in dict.fromkeys(conversion.homeless.values()):
        names = [name for name, why in conversion.homeless.items() if why == reason]
        lines.append(f'{len(names)} tensors left out ({reason or "no place for them"}): {", ".join(names[:6])}')
    return '\n'.join([*lines, *(f'note: {line}' for line in conversion.note.splitlines())])


__all__ = ['LIBRARIES', 'PARTS', 'Repacked', 'convert_checkpoint', 'export_checkpoint']
