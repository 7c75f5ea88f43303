"""Converting the weights of a backbone from one library to another."""
import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from agssp_mm.checkpoints.conversion.convnext import CONVNEXT
from agssp_mm.checkpoints.conversion.cspdarknet import CSPDARKNET, CSPDARKNET53
from agssp_mm.checkpoints.conversion.cspnext import CSPNEXT
from agssp_mm.checkpoints.conversion.names import Architecture, State, read_names, write_names
from agssp_mm.checkpoints.conversion.resnet import RESNET
from agssp_mm.checkpoints.conversion.swin import SWIN

ARCHITECTURES = {one.name: one for one in (RESNET, SWIN, CONVNEXT, CSPNEXT, CSPDARKNET, CSPDARKNET53)}
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
                    allow_partial: bool = False) -> Conversion:
    """Give the weights of a backbone the names, shapes and channel order of another library.

    Args:
        state: Tensors of a backbone, a classifier or a whole detector, under the names of `source`.
        source: One of `LIBRARIES`.
        target: One of `LIBRARIES`. For "mmdet" and "mmpretrain" the names get the prefix `backbone.`; the classifier
            goes along except to "mmdet".
        architecture: One of `ARCHITECTURES`; found out by the names if None.
        allow_partial: Leave out tensors of the backbone that cannot be converted, instead of refusing.

    Raises:
        ValueError: If a name is none of those, no tensor of the file is known, or a part of the backbone is not.
    """
    for what, name in (('source', source), ('target', target)):
        if name not in LIBRARIES:
            raise ValueError(f'{what} must be one of {", ".join(LIBRARIES)}, got {name!r}')
    backbone, other_parts = _take_backbone(state, source)
    family, ours, unknown = _recognise(backbone, source, architecture)
    if target not in family.libraries:
        raise ValueError(f'{target} has no {family.name}; it can be converted to {", ".join(family.libraries)}')
    if target == 'mmdet':
        ours = {name: value for name, value in ours.items() if not name.startswith('head.')}
    theirs, homeless = write_names(ours, family.libraries[target])
    lost = [*unknown, *(name for name, why in homeless.items() if not why)]
    if not theirs or (lost and not allow_partial):
        raise ValueError(f'{len(lost)} tensors of this {family.name} have no place in {target}: {_cut(lost)}. It is a '
                         'variant that the other library does not have; --allow-partial leaves them out')
    if target in ('mmdet', 'mmpretrain'):
        theirs = {name if name.startswith('head.') else f'backbone.{name}': value for name, value in theirs.items()}
    notes = (family.libraries[library].note for library in (source, target))
    return Conversion({name: value.contiguous() for name, value in theirs.items()}, family.name, tuple(other_parts),
                      tuple(unknown), homeless, '\n'.join(note for note in notes if note))


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


def _recognise(state: State, library: str, wanted: str | None) -> tuple[Architecture, State, list[str]]:
    """Find the family whose rules know the most names."""
    if wanted is not None and wanted not in ARCHITECTURES:
        raise ValueError(f'architecture must be one of {", ".join(ARCHITECTURES)}, got {wanted!r}')
    families = [one for one in ARCHITECTURES.values() if library in one.libraries and wanted in (None, one.name)]
    if not families:
        raise ValueError(f'{library} has no {wanted}')
    found = [(family, *read_names(state, family.libraries[library])) for family in families]
    family, ours, unknown = min(found, key=lambda one: (len(one[2]), not one[1]))
    if not ours:
        names = ', '.join(one.name for one in families)
        raise ValueError(f'none of the {len(state)} tensors has a name that {library} gives in {names} (they are '
                         f'called {_cut(list(state))}): it is another architecture, or comes from another library')
    return family, ours, unknown


def _cut(names: list[str]) -> str:
    return ', '.join(names[:_LISTED]) + (f' and {len(names) - _LISTED} more' if len(names) > _LISTED else '')
