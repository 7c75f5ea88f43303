#!/usr/bin/env python3
"""NEU-DET: tools/dataset_converters/neu_det.py ROOT

Reads the XML of Pascal VOC in both layouts that go round: `IMAGES/*.jpg` with `ANNOTATIONS/*.xml`, and
`{train,validation}/images/<class>/*.jpg` with `{train,validation}/annotations/*.xml`, whose split is kept.
Source: K. Song and Y. Yan, Northeastern University, http://faculty.neu.edu.cn/songkechen/zh_CN/zdylm/263270/list
"""
import argparse
import sys

from converter_parts.coco import LabelledImage
from converter_parts.command import Published, add_arguments, finish
from converter_parts.files import check_root
from converter_parts.voc import read_voc_set

from agssp_mm.cli import run_command

SUMMARY = 'turn NEU-DET into COCO JSON'
CLASSES = ('crazing', 'inclusion', 'patches', 'pitted_surface', 'rolled-in_scale', 'scratches')
PUBLISHED = Published(images=1800, total_boxes=4189)
PARTS = {'train': 'train', 'validation': 'val', 'valid': 'val', 'val': 'val', 'test': 'val'}

__all__ = ['SUMMARY', 'add_arguments', 'run']


def own_split(images: list[LabelledImage]) -> dict[str, str] | None:
    """The split that the folders of the images tell; None if they tell none."""
    parts = {image['file_name']: PARTS.get(image['file_name'].split('/')[0].lower()) for image in images}
    return parts if set(parts.values()) == {'train', 'val'} else None


def run(args: argparse.Namespace) -> int:
    """Convert."""
    check_root(args.root)
    problems = []
    images = read_voc_set(args.root, problems, aliases={})
    return finish(args, 'NEU-DET', CLASSES, images, problems, PUBLISHED, own_split(images))


if __name__ == '__main__':
    sys.exit(run_command(sys.modules[__name__], 'neu_det.py'))
