#!/usr/bin/env python3
"""Make pseudo boxes: tools/make_boxes.py STORE OUT.json --rule ...; the same as `agssp make-boxes`."""
import sys

from agssp_mm.cli import run_command
from agssp_mm.commands import make_boxes

if __name__ == '__main__':
    sys.exit(run_command(make_boxes, 'make_boxes.py'))
