"""Images with YOLO labels and instance masks: `images/*.jpg`, `labels/*.txt`, `mask/*.png`.

The layout of Casting Billet and Steel Pipe (https://github.com/clovermini/MVIT_metal_datasets): an image without a
label file, or with an empty one, is free of defects.
"""
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .coco import LabelledImage, Problem, clip_objects
from .files import images_by_stem, measure, name_below
from .masks import instance_objects, mask_in_box, read_mask

MIN_AREA = 9  # pixels


def parse_yolo(text: str, classes: Sequence[str], size: tuple[int, int], where: str) -> list[dict[str, Any]]:
    """Read the lines of one label file: class number, then centre, width and height relative to the image.

    Args:
        text: Content of the file.
        classes: Names in the order of their numbers, from 0.
        size: (width, height) of the image.
        where: What messages call the file.

    Returns:
        Objects with `category` and `bbox` in pixels.

    Raises:
        ValueError: If a line has another form, or a class number that does not exist.
    """
    objects = []
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields:
            continue
        try:
            index, (x, y, width, height) = int(fields[0]), map(float, fields[1:])
        except ValueError as error:
            raise MalformedLineError(f'line {number} is {line.strip()!r}, "class x y width height" is needed; '
                                     'left out') from error
        if not 0 <= index < len(classes):
            known = ', '.join(f'{one} {name}' for one, name in enumerate(classes))
            raise ValueError(f'{where}: unknown class {index} in line {number}; allowed are {known}. Correct the label '
                             'file, or leave it out')
        box = ((x - width / 2) * size[0], (y - height / 2) * size[1],
               (x + width / 2) * size[0], (y + height / 2) * size[1])
        objects.append(dict(category=classes[index], bbox=box))
    return objects


class MalformedLineError(ValueError):
    """A line of a label file that cannot be read."""


def read_yolo_set(root: Path, classes: Sequence[str], problems: list[Problem],
                  category_of: Callable[[str], str] | None = None) -> list[LabelledImage]:
    """Read a data set of this layout.

    Boxes come from the label files, their masks from the pixels of the mask inside; without a folder of labels the
    boxes are those of the mask's instances.

    Args:
        root: Folder of the data set.
        classes: Names in the order of their numbers.
        problems: Extended by everything that is left out.
        category_of: File name -> class, where names tell it; needed without labels.

    Raises:
        FileNotFoundError: If there are no images, or neither labels nor masks.
        ValueError: If a class is unknown, or there are masks only and nothing tells their class.
    """
    labels, masks = root / 'labels', root / 'mask'
    if not (root / 'images').is_dir() or not (labels.is_dir() or masks.is_dir()):
        raise FileNotFoundError(f'{root} needs a folder images, and labels or mask beside it')
    if not labels.is_dir() and category_of is None:
        raise ValueError(f'{root} has masks but no labels, and a mask does not tell the class of a defect; add labels')
    labelled = []
    for stem, paths in images_by_stem(root / 'images').items():
        problems += [(name_below(path, root), f'second image called {stem}; left out') for path in paths[1:]]
        size = measure(paths[0], root, problems)
        if size is None:
            continue
        entry = dict(file_name=name_below(paths[0], root), width=size[0], height=size[1], objects=[])
        try:
            entry['objects'] = _objects_of(root, stem, classes, size, problems, category_of)
        except (MalformedLineError, UnicodeDecodeError) as error:
            problems.append((f'labels/{stem}.txt', str(error)))
            continue
        if entry['objects'] is not None:
            labelled.append(clip_objects(entry, problems))
    return labelled


def _objects_of(root: Path, stem: str, classes: Sequence[str], size: tuple[int, int], problems: list[Problem],
                category_of: Callable[[str], str] | None) -> list[dict[str, Any]] | None:
    label_path, mask_path = root / 'labels' / f'{stem}.txt', root / 'mask' / f'{stem}.png'
    mask = _mask_of(mask_path, root, size, problems)
    if not label_path.parent.is_dir():
        if mask is None:
            return None if mask_path.is_file() else []
        return instance_objects(mask, category_of(stem), MIN_AREA)[0] if mask.any() else []
    text = label_path.read_text() if label_path.is_file() else ''
    objects = parse_yolo(text, classes, size, name_below(label_path, root))
    if not objects and mask is not None and mask.any():
        problems.append((name_below(mask_path, root), 'a defect in the mask, but none in the labels; left out'))
        return None
    if mask is None:
        return objects
    for one in objects:
        found = mask_in_box(mask, one['bbox'])
        if not found:
            problems.append((name_below(mask_path, root), f'nothing inside a box of {one["category"]}; box kept'))
        one.update(found)
    return objects


def _mask_of(path: Path, root: Path, size: tuple[int, int], problems: list[Problem]):
    if not path.is_file():
        return None
    try:
        return read_mask(path, size)
    except ValueError as error:
        problems.append((name_below(path, root), str(error)))
        return None
