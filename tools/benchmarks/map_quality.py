#!/usr/bin/env python3
"""Measure anomaly maps against masks: tools/benchmarks/map_quality.py IMAGES MASKS --teacher NAME ...

MASKS mirrors the image folder with PNG files of the same names; a pixel above 127 is defective, and images
free of defects have an all-zero mask. The teacher is fitted on the images themselves, without their masks, or
on --fit. Images per second count decoding and scoring, not the fit and not the measuring; peak memory is that
of the process.
"""
import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from agssp_mm.cli import run_command
from agssp_mm.commands.options import add_teacher_arguments, build_teacher
from agssp_mm.files import write_atomically
from agssp_mm.images import ImageEntry, ImageList, list_images, read_image
from agssp_mm.maps.quality import PixelQuality, QualityReport
from agssp_mm.teachers.asking import ask
from agssp_mm.teachers.base import Teacher

SUMMARY = 'measure the anomaly maps of a teacher against masks of the defects'
ALL = 'all'
COLUMNS = ('kind', 'images', 'AUROC set', 'AUROC per image', 'AUPRO 30 %', 'AP', 'best F1')
Kinds = dict[str, dict[str, list[list[float]]]]


class Decoded:
    """The images of a list, read anew at each iteration."""

    def __init__(self, images: ImageList, value_range: tuple[float, float] | None) -> None:
        self.images, self.value_range = images, value_range

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (image for image, _ in self.described())

    def described(self) -> Iterator[tuple[np.ndarray, ImageEntry]]:
        """The same images, each with its source and name."""
        return ((read_image(self.images.path(entry), self.value_range), entry) for entry in self.images)


def mask_paths(images: ImageList, folder: Path) -> list[Path]:
    """The mask of every image.

    Raises:
        FileNotFoundError: If one is missing; an image without a mask is not taken for a sound one.
    """
    paths = [folder / Path(entry.name).with_suffix('.png') for entry in images]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise FileNotFoundError(f'{len(missing)} of {len(paths)} masks are missing, first {missing[:3]}; '
                                'give an all-zero PNG for an image free of defects')
    return paths


def read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool, True on defects.

    Raises:
        ValueError: If it cannot be read or has another size than its image.
    """
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None or mask.shape != size:
        raise ValueError(f'the mask {path} is {"no image" if mask is None else mask.shape}, its image is '
                         f'{size}; masks are grey images of the size of their image')
    return mask > 127


def read_kinds(annotations: str, images: ImageList) -> Kinds:
    """Kind -> image name -> xywh boxes, of a COCO JSON.

    Raises:
        ValueError: If no annotation belongs to any of the images.
    """
    coco = json.loads(Path(annotations).read_text(encoding='utf-8'))
    names = {image['id']: image['file_name'] for image in coco['images']}
    categories = {category['id']: category['name'] for category in coco['categories']}
    listed, kinds = {entry.name for entry in images}, {}
    for annotation in coco['annotations']:
        name, kind = names[annotation['image_id']], categories[annotation['category_id']]
        if name in listed:
            kinds.setdefault(kind, {}).setdefault(name, []).append(annotation['bbox'])
    if not kinds:
        raise ValueError(f'{annotations} annotates none of the {len(listed)} images below {images.root}: '
                         f'its names are like {list(names.values())[:1]}, theirs like {sorted(listed)[:1]}')
    return dict(sorted(kinds.items()))


def in_boxes(mask: np.ndarray, boxes: list[list[float]]) -> np.ndarray:
    """The part of a mask inside xywh boxes."""
    inside = np.zeros_like(mask)
    for x, y, width, height in boxes:
        inside[max(0, int(y)):int(np.ceil(y + height)), max(0, int(x)):int(np.ceil(x + width))] = True
    return mask & inside


def measure(images: ImageList, masks: list[Path], teacher: Teacher, kinds: Kinds, batch_size: int,
            value_range: tuple[float, float] | None) -> tuple[dict[str, QualityReport], float]:
    """Reports of all defects and of each kind, and images per second.

    A kind's defects are measured against the sound pixels of all images; other defects are left out.
    """
    qualities = {kind: PixelQuality() for kind in (ALL, *kinds)}
    seconds = 0.0
    for first in range(0, len(images), batch_size):
        entries = images.entries[first:first + batch_size]
        start = time.perf_counter()
        decoded = [read_image(images.path(entry), value_range) for entry in entries]
        maps = ask(teacher, decoded, entries).maps
        seconds += time.perf_counter() - start
        for entry, image, anomaly_map, path in zip(entries, decoded, maps, masks[first:], strict=False):
            mask = read_mask(path, image.shape[:2])
            qualities[ALL].add(anomaly_map, mask)
            for kind, boxes in kinds.items():
                own = in_boxes(mask, boxes.get(entry.name, []))
                qualities[kind].add(anomaly_map, own, ignore=mask & ~own)
        if sys.stderr.isatty():
            print(f'\r{first + len(entries)}/{len(images)}', end='', file=sys.stderr)
    return {kind: quality.report() for kind, quality in qualities.items()}, len(images) / seconds


def table(reports: dict[str, QualityReport]) -> str:
    """One row per kind."""
    rows = [COLUMNS]
    for kind, report in reports.items():
        figures = (f'{value:.3f}' for value in report[:5])
        rows.append((kind, f'{report.num_defective} of {report.num_images}', *figures))
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return '\n'.join('  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
                     for row in rows)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('images', help='folder, text file of names, or COCO JSON')
    parser.add_argument('masks', help='folder of PNG masks named like the images, above 127 = defective')
    parser.add_argument('--root', help='folder that listed names are relative to')
    parser.add_argument('--value-range', nargs=2, type=float, metavar=('LOW', 'HIGH'),
                        help='grey values of deep images that become 0 and 255')
    add_teacher_arguments(parser)
    parser.add_argument('--annotations', help='COCO JSON that names the kinds of the defects')
    parser.add_argument('--fit', help='images to fit the teacher on (default: the same images)')
    parser.add_argument('--batch-size', type=int, default=8, help='images per call (default 8)')
    parser.add_argument('--out', help='JSON file for the figures')


def run(args: argparse.Namespace) -> int:
    """Measure one teacher and print the table."""
    images = list_images(args.images, args.root)
    masks = mask_paths(images, Path(args.masks))
    kinds = read_kinds(args.annotations, images) if args.annotations else {}
    value_range = tuple(args.value_range) if args.value_range else None
    teacher = build_teacher(args)
    start = time.perf_counter()
    teacher.fit(Decoded(list_images(args.fit) if args.fit else images, value_range))
    fit_seconds = time.perf_counter() - start
    reports, rate = measure(images, masks, teacher, kinds, args.batch_size, value_range)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(table(reports))
    print(f'{rate:.1f} images/s with decoding; fit {fit_seconds:.1f} s; peak memory {memory:.0f} MiB')
    if args.out:
        results = {'teacher': args.teacher, 'settings': teacher.settings,
                   'figures': {kind: report._asdict() for kind, report in reports.items()},
                   'images_per_second': rate, 'fit_seconds': fit_seconds, 'peak_memory_mib': memory}
        with write_atomically(args.out) as file:
            file.write((json.dumps(results, indent=1) + '\n').encode())
    return 0


if __name__ == '__main__':
    sys.exit(run_command(sys.modules[__name__], 'map_quality.py'))
