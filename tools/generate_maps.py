#!/usr/bin/env python3
"""Make anomaly maps: tools/generate_maps.py IMAGES STORE --teacher ...; the same as `agssp generate-maps`."""
import sys

from agssp_mm.cli import run_command
from agssp_mm.commands import generate_maps

if __name__ == '__main__':
    sys.exit(run_command(generate_maps, 'generate_maps.py'))
