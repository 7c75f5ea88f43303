#!/usr/bin/env python3
"""Show what a pipeline feeds the model: tools/browse_dataset.py CONFIG --out FOLDER; as `agssp browse-dataset`."""
import sys

from agssp_mm.cli import run_command
from agssp_mm.commands import browse_dataset

if __name__ == '__main__':
    sys.exit(run_command(browse_dataset, 'browse_dataset.py'))
