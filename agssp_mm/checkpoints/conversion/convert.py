"""Converting the weights of a backbone, or of a whole detector, from one library to another."""
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from agssp_mm.checkpoints.conversion.convnext import CONVNEXT
from agssp_mm.checkpoints.conversion.cspdarknet import CSPDARKNET, CSPDARKNET53
from agssp_mm.checkpoints.conversion.cspnext import CSPNEXT
from agssp_mm.checkpoints.conversion.detectors import FASTER_RCNN, RETINANET, with_new_names
from agssp_mm.checkpoints.conversion.names import Architecture, State, read_names, write_names
from agssp_mm.checkpoints.conversion.resnet import RESNET
from agssp_mm.checkpoints.conversion.swin import SWIN

ARCHITECTURES = {one.name: one for one in (RESNET, SWIN, CONVNEXT, CSPNEXT, CSPDARKNET, CSPDARKNET53)}
DETECTORS = {one.name: one for one in (RETINANET, FASTER_RCNN)}
PARTS = ('backbone', 'detector')
LIBRARIES = ('mmdet', 'mmpretrain', 'torchvision', 'timm', 'detectron2')
# Where the backbone stands in a whole model; a file without any of these holds a bare one.
_PREFIXES = {'mmdet': ('backbone.',), 'mmpretrain': ('backbone.',), 'torchvision': ('backbone.body.',), 'timm': (),
             'detectron2': ('backbone.bottom_up.', 'backbone.')}
_LISTED = 8


@dataclass(frozen=True)
class Conversion:
    """What came out of a conversion.

    Attributes:
        state: The tensors under the names of the target.
        architecture: Name of the family.
        other_parts: Names in the file that belong to no backbone, such as neck and heads of a detector.
        unknown: Names of the backbone in the file that no rule knows.
        homeless: Names (of MMDetection) that the target has no place for, with the reason.
        note: What a user of the weights has to know; may be empty.
    """

    state: State
    architecture: str
    other_parts: tuple[str, ...]
    unknown: tuple[str, ...]
    homeless: dict[str, str]
    note: str


def convert_weights(state: Mapping[str, Tensor], source: str, target: str, architecture: str | None = None,
                    allow_partial: bool = False, part: str = 'backbone') -> Conversion:
    """Give the weights of a backbone or a detector the names, shapes and channel order of another library.

    Args:
        state: Tensors of a backbone, a classifier or a whole detector, under the names of `source`.
        source: One of `LIBRARIES`.
        target: One of `LIBRARIES`. For "mmdet" and "mmpretrain" the names of a backbone get the prefix `backbone.`; the
            classifier goes along except to "mmdet".
        architecture: One of `ARCHITECTURES`, or of `DETECTORS`; found out by the names if None.
        allow_partial: Leave out tensors of the part that cannot be converted, instead of refusing.
        part: "backbone", or "detector" for all of a detector that both libraries have.

    Raises:
        ValueError: If a name is none of those, no tensor of the file is known, or some of the part are not.
    """
    for what, name, known in (('source', source, LIBRARIES), ('target', target, LIBRARIES), ('part', part, PARTS)):
        if name not in known:
            raise ValueError(f'{what} must be one of {", ".join(known)}, got {name!r}')
    if part == 'detector':
        state = with_new_names(state) if source == 'torchvision' else dict(state)
        return _convert(state, source, target, DETECTORS, architecture, allow_partial)
    backbone, other_parts = _take_backbone(state, source)
    found = _convert(backbone, source, target, ARCHITECTURES, architecture, allow_partial)
    converted = found.state
    if target == 'mmdet':
        converted = {name: value for name, value in converted.items() if not name.startswith('head.')}
    if target in ('mmdet', 'mmpretrain'):
        converted = {name if name.startswith('head.') else f'backbone.{name}': value
                     for name, value in converted.items()}
    return replace(found, state=converted, other_parts=tuple(other_parts))


def _convert(state: State, source: str, target: str, families: Mapping[str, Architecture], architecture: str | None,
             allow_partial: bool) -> Conversion:
    """Rename all of what is given."""
    family, ours, unknown = _recognise(state, source, families, architecture)
    if target not in family.libraries:
        raise ValueError(f'{target} has no {family.name}; it can be converted to {", ".join(family.libraries)}')
    theirs, homeless = write_names(ours, family.libraries[target])
    lost = [*unknown, *(name for name, why in homeless.items() if not why)]
    if not theirs or (lost and not allow_partial):
        raise ValueError(f'{len(lost)} tensors of this {family.name} have no place in {target}: {_cut(lost)}. It is '
                         'another model, or a variant that the other library does not have; --allow-partial leaves '
                         'them out')
    notes = (family.libraries[library].note for library in dict.fromkeys((source, target)))
    return Conversion({name: value.contiguous() for name, value in theirs.items()}, family.name, (), tuple(unknown),
                      homeless, '\n'.join(note for note in notes if note))


def _take_backbone(state: Mapping[str, Tensor], library: str) -> tuple[State, list[str]]:
    """Take the prefix of the backbone off; return it and the names of all other parts."""
    for prefix in _PREFIXES[library]:
        if any(name.startswith(prefix) for name in state):
            inside = {name[len(prefix):]: value for name, value in state.items() if name.startswith(prefix)}
            # MMPretrain's classifier stands beside the backbone; a detector's heads have other names.
            head = {name: value for name, value in state.items() if name.startswith('head.fc.')}
            return {**inside, **head}, [name for name in state if not name.startswith(prefix) and name not in head]
    if library == 'timm':  # a model made with features_only=True: layers_0 instead of layers.0
        state = {re.sub(r'^(layers|stages|stem)_(\d+)\.', r'\1.\2.', name): value for name, value in state.items()}
    return dict(state), []


def _recognise(state: State, library: str, families: Mapping[str, Architecture],
               wanted: str | None) -> tuple[Architecture, State, list[str]]:
    """Find the family whose rules know the most names."""
    if wanted is not None and wanted not in families:
        raise ValueError(f'architecture must be one of {", ".join(families)}, got {wanted!r}')
    there = [one for one in families.values() if library in one.libraries and wanted in (None, one.name)]
    if not there:
        raise ValueError(f'{library} has no {wanted or " or ".join(families)}')
    found = [(family, *read_names(state, family.libraries[library])) for family in there]
    family, ours, unknown = min(found, key=lambda one: (len(one[2]), not one[1]))
    if not ours:
        names = ', '.join(one.name for one in there)
        raise ValueError(f'none of the {len(state)} tensors has a name that {library} gives in {names} (they are '
                         f'called {_cut(list(state))}): it is another architecture, or comes from another library')
    return family, ours, unknown


def _cut(names: list[str]) -> str:
    return ', '.join(names[:_LISTED]) + (f' and {len(names) - _LISTED} more' if len(names) > _LISTED else '')
