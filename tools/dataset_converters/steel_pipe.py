#!/usr/bin/env python3
"""Steel Pipe: tools/dataset_converters/steel_pipe.py ROOT

Reads `images/*.jpg` with YOLO labels (`labels/*.txt`) and instance masks (`mask/*.png`). The split of
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

SUMMARY = 'turn Steel Pipe into COCO JSON'
CLASSES = ('warp', 'external fold', 'wrinkle', 'scratch')
PUBLISHED = Published(images=1227, defective=554, boxes=dict(zip(CLASSES, (148, 127, 231, 225))))

__all__ = ['SUMMARY', 'add_arguments', 'run']


def run(args: argparse.Namespace) -> int:
    """Convert."""
    check_root(args.root)
    problems = []
    images = read_yolo_set(args.root, CLASSES, problems)
    split = split_of_lists(args.root, 'train_mini_500.txt', 'val.txt', images, problems)
    return finish(args, 'Steel Pipe', CLASSES, images, problems, PUBLISHED, split)


if __name__ == '__main__':
    sys.exit(run_command(sys.modules[__name__], 'steel_pipe.py'))
