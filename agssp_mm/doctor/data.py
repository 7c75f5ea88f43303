"""The data root that the configs name, and which of the data sets lie there."""
import os
from collections.abc import Mapping
from pathlib import Path

from .finding import NOTE, OK, PROBLEM, Finding

VARIABLE, DEFAULT = 'AGSSP_DATA_ROOT', 'data'
#: Data sets of the committed configs and benchmarks -> what has to be there, relative to the root.
DATA_SETS = {
    'neu_det': ('images/train', 'images/val', 'annotations/train_10pct.json', 'annotations/val.json'),
    'magnetic_tile': ('images/train', 'images/val', 'annotations/train.json', 'annotations/val.json'),
    'casting_billet': ('annotations/train.json', 'annotations/val.json'),
    'steel_pipe': ('annotations/train.json', 'annotations/val.json'),
    'gc10': ('annotations/train.json', 'annotations/val.json'),
    'industrial': ('images', ),
}


def check_data(environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """The root, and one finding for each data set that lies there.

    Args:
        environment: Environment variables.
    """
    given = environment.get(VARIABLE)
    root = Path(given or DEFAULT)
    if not root.is_dir():
        if given:
            return [Finding('data root', PROBLEM, f'{VARIABLE}={given} is no folder', f'export {VARIABLE}=FOLDER')]
        return [Finding('data root', NOTE, f'{VARIABLE} is not set and there is no ./{DEFAULT}: the configs for the '
                                           'published data sets find nothing; your own images need no root',
                        f'export {VARIABLE}=FOLDER')]
    there = [_check_set(root / name, parts) for name, parts in DATA_SETS.items() if (root / name).is_dir()]
    absent = [name for name in DATA_SETS if not (root / name).is_dir()]
    text = f'{root}{"" if given else f" ({VARIABLE} is not set)"}'
    if absent:
        text += f'; not there: {", ".join(absent)}'
    return [Finding('data root', OK, text), *there]


def _check_set(folder: Path, parts: tuple[str, ...]) -> Finding:
    missing = [part for part in parts if not (folder / part).exists()]
    if missing:
        return Finding(f'data {folder.name}', PROBLEM, f'{folder} lacks {", ".join(missing)}',
                       f'ls {folder} {folder}/*  # README.md tells the layout')
    counts = [f'{sum(1 for _ in (folder / part).iterdir())} files in {part}' for part in parts
              if (folder / part).is_dir()]
    return Finding(f'data {folder.name}', OK, ', '.join(counts or parts))
