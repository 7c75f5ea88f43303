"""What every converter does after reading: split, check the counts, write, report."""
import argparse
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agssp_mm.maps.coco import write_coco

from .coco import LabelledImage, Problem, build_coco
from .splitting import split_images

_SHOWN = 20


@dataclass(frozen=True)
class Published:
    """What a data set is known to have; None or a missing class is not known.

    Attributes:
        images: Number of images.
        defective: Number of images with at least one object.
        boxes: Class -> number of objects.
        total_boxes: Number of all objects.
    """

    images: int | None = None
    defective: int | None = None
    boxes: Mapping[str, int] = field(default_factory=dict)
    total_boxes: int | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of a converter."""
    parser.add_argument('root', type=Path, help='folder that the data set was unpacked into')
    parser.add_argument('--out', type=Path, help='folder of train.json and val.json (default: ROOT/annotations)')
    parser.add_argument('--val-share', type=float, default=0.2,
                        help='share of validation where the data set has no split of its own (default 0.2)')
    parser.add_argument('--seed', type=int, default=0, help='of the split (default 0)')


def finish(args: argparse.Namespace, name: str, classes: Sequence[str], images: Sequence[LabelledImage],
           problems: Sequence[Problem], published: Published, own_split: Mapping[str, str] | None = None,
           group_of: Callable[[str], str] = str) -> int:
    """Write both parts and report.

    Args:
        args: As of `add_arguments`.
        name: What the data set is called.
        classes: In the order of their ids.
        images: All that could be read.
        problems: All that was left out.
        published: Known counts; others are warned about.
        own_split: File name -> 'train' or 'val', where the publication has a split; images not in it go to neither.
        group_of: As of `split_images`.

    Returns:
        Exit status 0.

    Raises:
        ValueError: If nothing was read, or a class is unknown.
    """
    if not images or not any(image['objects'] for image in images):
        raise ValueError(f'{args.root}: {len(images)} images and no box were found; is this the layout of {name}?'
                         + _listed(problems))
    if own_split:
        parts = [[image for image in images if own_split.get(image['file_name']) == part] for part in ('train', 'val')]
        how = 'its own split'
    else:
        parts = split_images(images, args.val_share, args.seed, group_of)
        how = f'drawn with seed {args.seed}, {args.val_share} for validation'
    out = args.out or args.root / 'annotations'
    built = [build_coco(part, classes, dict(description=f'{name}, {part_name} ({how})'))
             for part_name, part in zip(('train', 'val'), parts)]
    for part_name, coco in zip(('train', 'val'), built):
        write_coco(out / f'{part_name}.json', coco)
    print('\n'.join([*report_counts(images, classes, published),
                     f'{len(parts[0])} images for training, {len(parts[1])} for validation: {how}; '
                     f'{len(images) - len(parts[0]) - len(parts[1])} in neither',
                     f'{out}/train.json and val.json, names relative to {args.root}']) + _listed(problems))
    return 0


def report_counts(images: Sequence[LabelledImage], classes: Sequence[str], published: Published) -> list[str]:
    """Lines that compare what was read with what is published; a warning for each deviation."""
    objects = Counter(one['category'] for image in images for one in image['objects'])
    rows = [('images', len(images), published.images),
            ('images with defects', sum(bool(image['objects']) for image in images), published.defective),
            *((f'boxes of {name}', objects[name], published.boxes.get(name)) for name in classes),
            ('boxes', sum(objects.values()), published.total_boxes)]
    return [_compare(*row) for row in rows]


def _compare(what: str, found: int, known: int | None) -> str:
    if known is None:
        return f'{what}: {found}'
    return f'{what}: {found}, as published' if found == known else f'warning: {what}: {found}, published are {known}'


def _listed(problems: Sequence[Problem]) -> str:
    lines = [f'  {where}: {why}' for where, why in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(f'  and {len(problems) - _SHOWN} more')
    return '\n'.join(['', f'{len(problems)} entries with problems:', *lines]) if problems else ''
