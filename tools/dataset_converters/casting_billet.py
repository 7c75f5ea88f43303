#!/usr/bin/env python3
"""Casting Billet: tools/dataset_converters/casting_billet.py ROOT

Reads `images/*.jpg` with YOLO labels (`labels/*.txt`) and instance masks (`mask/*.png`); where labels are missing
altogether, the masks with the class that the names start with (Sc, Ws, Co, WSM, Ss, Lc). The split of
`train_mini_500.txt` and `val.txt` is kept if they are there. Source:
https://github.com/clovermini/MVIT_metal_datasets
"""
import argparse
import sys

from converter_parts.command import Published, add_arguments, finish
from converter_parts.files import check_root
from converter_parts.lists import split_of_lists
from converter_parts.yolo import read_yolo_set

from agssp_mm.cli import run_command

SUMMARY = 'turn Casting Billet into COCO JSON'
CLASSES = ('scratch', 'weld slag', 'cutting opening', 'water slag mark', 'slag skin', 'longitudinal crack')
PREFIXES = dict(zip(('Sc', 'Ws', 'Co', 'WSM', 'Ss', 'Lc'), CLASSES))
PUBLISHED = Published(images=1060, defective=780, boxes=dict(zip(CLASSES, (474, 211, 132, 131, 178, 132))))

__all__ = ['SUMMARY', 'add_arguments', 'run']


def category_of(stem: str) -> str:
    """Class that a file's name starts with.

    Raises:
        ValueError: If it is none of the six.
    """
    prefix = stem.split('_')[0]
    if prefix not in PREFIXES:
        raise ValueError(f'{stem}: unknown class {prefix!r}; names of defective images start with '
                         f'{", ".join(PREFIXES)}')
    return PREFIXES[prefix]


def run(args: argparse.Namespace) -> int:
    """Convert."""
    check_root(args.root)
    problems = []
    images = read_yolo_set(args.root, CLASSES, problems, category_of)
    split = split_of_lists(args.root, 'train_mini_500.txt', 'val.txt', images, problems)
    return finish(args, 'Casting Billet', CLASSES, images, problems, PUBLISHED, split)


if __name__ == '__main__':
    sys.exit(run_command(sys.modules[__name__], 'casting_billet.py'))
