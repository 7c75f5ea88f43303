"""The texts KeAD compares an image with: description files, states and templates."""
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

#: Shipped description files, one class each, named after the class.
KNOWLEDGE = Path(__file__).parent / 'knowledge'

#: The templates of the published KeAD, the doubled one included (WinCLIP, arXiv 2303.14814, has 22 and no
#: double).
TEMPLATES = (
    'a cropped photo of the {}.',
    'a close-up photo of a {}.',
    'a close-up photo of the {}.',
    'a bright photo of a {}.',
    'a bright photo of the {}.',
    'a dark photo of the {}.',
    'a dark photo of a {}.',
    'a jpeg corrupted photo of the {}.',
    'a jpeg corrupted photo of the {}.',
    'a blurry photo of the {}.',
    'a blurry photo of a {}.',
    'a photo of a {}.',
    'a photo of the {}.',
    'a photo of a small {}.',
    'a photo of the small {}.',
    'a photo of a large {}.',
    'a photo of the large {}.',
    'a photo of the {} for visual inspection.',
    'a photo of a {} for visual inspection.',
    'a photo of the {} for anomaly detection.',
    'a photo of a {} for anomaly detection.',
)
#: States every class has, whatever its own texts say.
NORMAL_STATES = ('{}', 'flawless {}', 'perfect {}', 'unblemished {}')
ANOMALOUS_STATES = ('damaged {}', '{} with flaw', '{} with defect', '{} with damage')


@dataclass(frozen=True)
class ClassTexts:
    """What is known about one class of surfaces.

    Attributes:
        noun: Phrase put into the states, such as "steel pipe metal surface".
        good: Normal states, each with one ``{}`` slot for the noun.
        defect: Anomalous states, likewise.
        samples: Paths of normal images; empty when there are none.
    """

    noun: str
    good: tuple[str, ...] = ()
    defect: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The class in the schema of a description file."""
        return {'map': self.noun, 'des': {'good': list(self.good), 'defect': list(self.defect)},
                'samples': list(self.samples)}


#: Stands in where nothing is known about a class: the generic states alone.
GENERIC_TEXTS = ClassTexts(noun='metal surface')


@dataclass(frozen=True)
class PromptSets:
    """Prompts of one class: every state in every template, and every template with an empty noun."""

    normal: tuple[str, ...]
    anomalous: tuple[str, ...]
    empty: tuple[str, ...]


def build_prompts(texts: ClassTexts, templates: Sequence[str] = TEMPLATES) -> PromptSets:
    """Put a class into its states and those into the templates.

    Example:
        >>> sets = build_prompts(ClassTexts('rail', good=('{} without cracks',)), ['a photo of the {}.'])
        >>> sets.normal[1], sets.normal[-1], sets.empty
        ('a photo of the flawless rail.', 'a photo of the rail without cracks.', ('a photo of the .',))
    """
    def fill(states: Sequence[str]) -> tuple[str, ...]:
        return tuple(template.format(state.format(texts.noun)) for state in states for template in templates)
    return PromptSets(fill(NORMAL_STATES + texts.good), fill(ANOMALOUS_STATES + texts.defect),
                      tuple(template.format('') for template in templates))


def check_slot(text: Any, where: str) -> str:
    """Return ``text`` if it is a string with exactly one plain ``{}`` slot.

    Raises:
        ValueError: If it is anything else; the message starts with ``where``.
    """
    if not isinstance(text, str):
        raise ValueError(f'{where} must be a string, got {type(text).__name__} {text!r}')
    try:
        fields = [(name, spec, cast) for _, name, spec, cast in Formatter().parse(text) if name is not None]
    except ValueError as error:
        raise ValueError(f'{where} is not a valid text with one {{}} slot: {text!r} ({error})') from error
    if fields != [('', '', None)]:
        raise ValueError(f'{where} must hold exactly one {{}} slot for the noun, got {text!r}')
    return text


def load_texts(source: str | Path | Mapping[str, Any] | None = None) -> dict[str, ClassTexts]:
    """Read descriptions in the schema of the published KeAD.

    One object per class: ``{"<class>": {"map": noun, "des": {"good": [...], "defect": [...]}, "samples":
    [...]}}``, every text of ``des`` with one ``{}`` slot; ``samples`` (paths of normal images, relative to
    the file) may be left out. See KeAD/dataset/descriptions in https://github.com/clovermini/AGSSP.

    Args:
        source: A JSON file, such an object itself, or ``None`` for all shipped classes.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is no JSON or does not follow the schema; the message names class and key.
    """
    if source is None:
        shipped = [load_texts(file) for file in sorted(KNOWLEDGE.glob('*.json'))]
        return {name: texts for classes in shipped for name, texts in classes.items()}
    if isinstance(source, Mapping):
        return _parse(source, 'the given texts', Path())
    path = Path(source)
    if not path.is_file():
        names = sorted(file.stem for file in KNOWLEDGE.glob('*.json'))
        raise FileNotFoundError(f'text file {path} does not exist; give a JSON file of class descriptions, '
                                f'or leave it out for the shipped classes {names}')
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'text file {path} is not valid JSON: {error}') from error
    return _parse(content, f'text file {path}', path.parent)


def _parse(content: Any, where: str, folder: Path) -> dict[str, ClassTexts]:
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f'{where} must be an object with one entry per class, got {type(content).__name__}'
                         f'{"" if content else " without entries"}')
    return {name: _parse_class(entry, f'{where}, class {name!r}', folder) for name, entry in content.items()}


def _parse_class(entry: Any, where: str, folder: Path) -> ClassTexts:
    noun = _require(entry, 'map', str, where)
    if not noun.strip():
        raise ValueError(f'{where}: "map" must be a noun phrase such as "metal surface", got {noun!r}')
    described = _require(entry, 'des', Mapping, where)
    states = {}
    for key in ('good', 'defect'):
        texts = _require(described, key, list, f'{where}, key "des"')
        states[key] = tuple(check_slot(text, f'{where}: "des.{key}"[{i}]') for i, text in enumerate(texts))
    samples = _require(entry, 'samples', list, where) if 'samples' in entry else []
    for i, sample in enumerate(samples):
        if not isinstance(sample, str):
            raise ValueError(f'{where}: "samples"[{i}] must be a path, got '
                             f'{type(sample).__name__} {sample!r}')
    return ClassTexts(noun, **states, samples=tuple(str(folder / sample) for sample in samples))


def _require(entry: Any, key: str, kind: type, where: str) -> Any:
    names: dict[type, str] = {str: 'a string', Mapping: 'an object', list: 'a list'}
    if not isinstance(entry, Mapping):
        raise ValueError(f'{where} must be an object, got {type(entry).__name__}')
    if key not in entry:
        raise ValueError(f'{where}: key "{key}" is missing; there are {sorted(map(str, entry))}')
    if not isinstance(entry[key], kind):
        raise ValueError(f'{where}: "{key}" must be {names[kind]}, got '
                         f'{type(entry[key]).__name__} {entry[key]!r}')
    return entry[key]
