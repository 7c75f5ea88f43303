#!/usr/bin/env python3
"""GC10-DET: tools/dataset_converters/gc10.py ROOT

Reads the published layout: images in one folder per class (`1/` to `10/`), the XML of Pascal VOC in `lbl/`, whose
class names are numbered Pinyin. Consecutive shots, told by their names, stay together in the split.
Source: Lv et al., Deep Metallic Surface Defect Detection, Sensors 20(6), 1562, 2020.
"""
import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converter_parts.command import Published, add_arguments, finish
from converter_parts.files import check_root
from converter_parts.voc import read_voc_set

from agssp_mm.cli import run_command

SUMMARY = 'turn GC10-DET into COCO JSON'
CLASSES = ('punching hole', 'welding line', 'crescent gap', 'water spot', 'oil spot', 'silk spot', 'inclusion',
           'rolled pit', 'crease', 'waist folding')
PINYIN = ('1_chongkong', '2_hanfeng', '3_yueyawan', '4_shuiban', '5_youban', '6_siban', '7_yiwu', '8_yahen', '9_zhehen',
          '10_yaozhe')
ALIASES = dict(zip(PINYIN, CLASSES)) | {'10_yaozhed': CLASSES[9]}  # a slip that all of the last class have
MISTAKES = ('d', )  # one object of the download
PUBLISHED = Published(images=2292, total_boxes=3563)  # those of the download that have an XML with an object

__all__ = ['SUMMARY', 'add_arguments', 'run']


def choose(candidates: list[Path], annotation: Mapping[str, Any]) -> Path:
    """Of images of one name, take that in the folder of its first object's class, else the first."""
    numbers = [one['category'].split('_')[0] for one in annotation['objects']]
    fitting = [path for number in numbers for path in candidates if path.parent.name.split('_')[0] == number]
    return (fitting or candidates)[0]


def burst_of(file_name: str) -> str:
    """Name of an image without its last number: `img_01_424799200_00012.jpg` is one of a row of shots."""
    return Path(file_name).stem.rpartition('_')[0] or Path(file_name).stem


def run(args: argparse.Namespace) -> int:
    """Convert."""
    check_root(args.root)
    problems = []
    images = read_voc_set(args.root, problems, ALIASES, MISTAKES, choose, keep_empty=False)
    return finish(args, 'GC10-DET', CLASSES, images, problems, PUBLISHED, group_of=burst_of)


if __name__ == '__main__':
    sys.exit(run_command(sys.modules[__name__], 'gc10.py'))
