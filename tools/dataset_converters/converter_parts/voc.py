"""Annotations in the XML of Pascal VOC, as LabelImg writes them."""
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from .coco import LabelledImage, Problem, clip_objects
from .files import images_by_stem, measure, name_below

#: Chooses between several images of one name: (their paths, the annotation) -> one of the paths.
Choose = Callable[[list[Path], Mapping[str, Any]], Path]


def parse_voc(text: str | bytes) -> dict[str, Any]:
    """Read one annotation.

    Coordinates are taken as they stand: LabelImg writes positions of the box's borders, counted from the image's
    corner, so that xmax - xmin is the width.

    Returns:
        `width` and `height` as annotated (0 where they are not), and `objects` with `category` and `bbox`.

    Raises:
        ValueError: If it is not such an XML.
    """
    try:
        tree = ElementTree.fromstring(text)
        size = {key: int(float(tree.findtext(f'size/{key}') or 0)) for key in ('width', 'height')}
        objects = [dict(category=_text(one, 'name'), bbox=tuple(
            float(_text(one, f'bndbox/{key}')) for key in ('xmin', 'ymin', 'xmax', 'ymax')))
            for one in tree.iter('object')]
    except (ElementTree.ParseError, ValueError) as error:
        raise ValueError(f'no annotation in the XML of Pascal VOC: {error}') from error
    return dict(**size, objects=objects)


def read_voc_set(root: Path, problems: list[Problem], aliases: Mapping[str, str], mistakes: Collection[str] = (),
                 choose: Choose | None = None, keep_empty: bool = True) -> list[LabelledImage]:
    """Read every XML below a folder together with the image of the same name.

    Args:
        root: Folder of the data set.
        problems: Extended by everything that is left out.
        aliases: Name in the XML -> class, for names that differ from their class.
        mistakes: Names of classes that are known to be slips of the annotators: such objects are left out.
        choose: Decides between several images of one name; they are a problem without it.
        keep_empty: Keep images whose XML has no object as negatives.
    """
    images, labelled, used = images_by_stem(root), [], set()
    for path in sorted(root.rglob('*.xml')):
        entry = _read_one(path, root, images.get(path.stem, []), problems, choose)
        used.add(path.stem)
        if entry is None:
            continue
        entry['objects'] = _renamed(entry, aliases, mistakes, problems)
        if not entry['objects'] and not keep_empty:
            problems.append((entry['file_name'], 'no object in its XML; left out, as it may show one'))
            continue
        labelled.append(clip_objects(entry, problems))
    problems += [(name_below(path, root), 'image without an XML; left out')
                 for stem in sorted(set(images) - used) for path in images[stem]]
    return labelled


def _text(node: ElementTree.Element, path: str) -> str:
    text = node.findtext(path)
    if text is None or not text.strip():
        raise ValueError(f'an object has no {path}')
    return text.strip()


def _read_one(path: Path, root: Path, candidates: list[Path], problems: list[Problem],
              choose: Choose | None) -> LabelledImage | None:
    name = name_below(path, root)
    try:
        annotation = parse_voc(path.read_bytes())
    except ValueError as error:
        problems.append((name, str(error)))
        return None
    if not candidates or (len(candidates) > 1 and choose is None):
        found = ', '.join(name_below(one, root) for one in candidates)
        problems.append((name, f'several images have this name: {found}' if found else 'no image has this name'))
        return None
    image = candidates[0] if len(candidates) == 1 else choose(candidates, annotation)
    problems += [(name_below(one, root), f'copy of {name_below(image, root)} in another folder; left out')
                 for one in candidates if one != image]
    size = measure(image, root, problems)
    if size is None:
        return None
    annotated = (annotation['width'], annotation['height'])
    if all(annotated) and annotated != size:
        problems.append((name, f'annotated for {annotated[0]}x{annotated[1]} pixels, the image has '
                               f'{size[0]}x{size[1]}'))
        return None
    return dict(file_name=name_below(image, root), width=size[0], height=size[1], objects=annotation['objects'])


def _renamed(entry: LabelledImage, aliases: Mapping[str, str], mistakes: Collection[str],
             problems: list[Problem]) -> list[dict[str, Any]]:
    problems += [(entry['file_name'], f'object of the undefined class {one["category"]!r}; left out')
                 for one in entry['objects'] if one['category'] in mistakes]
    return [{**one, 'category': aliases.get(one['category'], one['category'])}
            for one in entry['objects'] if one['category'] not in mistakes]
