#!/usr/bin/env python3
"""Magnetic tiles: tools/dataset_converters/magnetic_tile.py ROOT

Reads `MT_<kind>/Imgs/*.jpg` with masks of the same name (`*.png`); every component of a mask becomes a box. The shots
of one tile (`exp<exposure>_num_<tile>`) stay together in the split. Source: Huang et al., Saliency of magnetic tile
surface defects, https://github.com/abin24/Magnetic-tile-defect-datasets.
"""
import argparse
import re
import sys
from pathlib import Path

from converter_parts.coco import LabelledImage, Problem
from converter_parts.command import Published, add_arguments, finish
from converter_parts.files import check_root, measure, name_below
from converter_parts.masks import component_objects, read_mask

from agssp_mm.cli import run_command

SUMMARY = 'turn the magnetic tile data set into COCO JSON'
FOLDERS = dict(MT_Blowhole='blowhole', MT_Break='break', MT_Crack='crack', MT_Fray='fray', MT_Uneven='uneven')
FREE = 'MT_Free'
CLASSES = tuple(FOLDERS.values())
PUBLISHED = Published(images=1344, defective=392)
MIN_AREA = 9  # pixels; what is smaller is a slip of the pen
FOREGROUND = 128

__all__ = ['SUMMARY', 'add_arguments', 'run']


def read_set(root: Path, problems: list[Problem]) -> list[LabelledImage]:
    """Read all folders of kinds.

    Raises:
        ValueError: If there is a folder of a kind that the data set does not have.
    """
    folders = sorted(path for path in root.glob('MT_*') if path.is_dir())
    unknown = [path.name for path in folders if path.name not in (*FOLDERS, FREE)]
    if unknown:
        raise ValueError(f'{root}: unknown class {unknown[0]!r}; allowed are {", ".join((*FOLDERS, FREE))}')
    images = [path for folder in folders for path in sorted((folder / 'Imgs').glob('*.jpg'))]
    entries = [_read_one(path, root, problems) for path in images]
    return [entry for entry in entries if entry is not None]


def _read_one(path: Path, root: Path, problems: list[Problem]) -> LabelledImage | None:
    size = measure(path, root, problems)
    if size is None:
        return None
    name, kind = name_below(path, root), path.parents[1].name
    try:
        if not path.with_suffix('.png').is_file():
            raise ValueError('no mask of this name')
        mask = read_mask(path.with_suffix('.png'), size) >= FOREGROUND
    except ValueError as error:
        problems.append((name, f'{error}; left out'))
        return None
    objects, specks = component_objects(mask, FOLDERS.get(kind, FREE), MIN_AREA)
    if specks:
        problems.append((name, f'{specks} specks of less than {MIN_AREA} pixels in the mask; left out'))
    if kind == FREE and objects:
        problems.append((name, f'a defect in the mask of an image in {FREE}; left out'))
        return None
    if kind != FREE and not objects:
        problems.append((name, 'empty mask; left out, as the tile has a defect'))
        return None
    return dict(file_name=name, width=size[0], height=size[1], objects=objects)


def tile_of(file_name: str) -> str:
    """Number of the tile that an image shows, which was shot under several exposures."""
    found = re.search(r'num_(\d+)', Path(file_name).stem)
    return found.group(1) if found else file_name


def run(args: argparse.Namespace) -> int:
    """Convert."""
    check_root(args.root)
    problems = []
    images = read_set(args.root, problems)
    return finish(args, 'magnetic tiles', CLASSES, images, problems, PUBLISHED, group_of=tile_of)


if __name__ == '__main__':
    sys.exit(run_command(sys.modules[__name__], 'magnetic_tile.py'))
