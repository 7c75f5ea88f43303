#!/usr/bin/env python
"""Make tools/zoo/families.json from the installed MMDetection: the smallest config of each family that predicts boxes.

Run once per release of MMDetection and committed. What takes part: every folder of configs but those named here. Size
is the number of parameters, counted on the model itself; a config whose model cannot be built here (a package is
missing) stands for its family only where all members are so, and is measured by its backbone.
"""
import contextlib
import json
import sys
import warnings
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.utils import get_installed_path

from agssp_mm.engine.walk import walk
from agssp_mm.files import write_atomically
from agssp_mm.recipes.branches import inline_teachers, replace_grouped_norms
from agssp_mm.recipes.building import build

EXCLUDED = {
    '_base_': 'parts of configs', 'common': 'parts of configs', 'dsdl': 'data sets', 'cityscapes': 'data set',
    'deepfashion': 'data set', 'lvis': 'data set', 'objects365': 'data set', 'openimages': 'data set',
    'pascal_voc': 'data set', 'v3det': 'data set', 'wider_face': 'data set', 'bytetrack': 'tracking',
    'deepsort': 'tracking', 'mask2former_vis': 'tracking', 'masktrack_rcnn': 'tracking', 'ocsort': 'tracking',
    'qdtrack': 'tracking', 'sort': 'tracking', 'strongsort': 'tracking', 'reid': 're-identification',
    'clrnet': 'predicts lanes, no boxes', 'solo': 'predicts masks, no boxes', 'solov2': 'predicts masks, no boxes',
    'maskformer': 'predicts panoptic masks, no boxes',
}


def main() -> None:
    """Write the list."""
    warnings.filterwarnings('ignore')
    root = Path(get_installed_path('mmdet')) / '.mim' / 'configs'
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    families = []
    for folder in folders:
        if folder.name not in EXCLUDED:
            sizes = {path: measure(path) for path in sorted(folder.glob('*.py'))}
            smallest = min((path for path in sizes if sizes[path]), key=lambda path: (sizes[path], path.name))
            name = smallest.relative_to(root).as_posix()
            families.append(dict(family=folder.name, config=f'mmdet::{name}', parameters=sizes[smallest][1]))
            print(families[-1], flush=True)
    listed = dict(families=families, excluded={one.name: EXCLUDED[one.name] for one in folders if one.name in EXCLUDED})
    with write_atomically(Path(__file__).with_name('families.json')) as file:
        file.write((json.dumps(listed, indent=1) + '\n').encode())


def measure(path: Path) -> tuple[bool, int] | None:
    """Whether a config's model cannot be built, and its number of parameters; None where there are no boxes."""
    config = Config.fromfile(path)
    if not config.get('model') or not _predicts_boxes(config):
        return None
    model, scope = config.model.to_dict(), config.get('default_scope', 'mmdet')
    replace_grouped_norms(model)
    inline_teachers(model, Path(get_installed_path('mmdet')) / '.mim')
    for part in walk(model):
        part.update({key: None for key in part if key == 'init_cfg' or key.endswith('_ckpt')})
        if part.get('pretrained'):
            part['pretrained'] = False if part['pretrained'] is True else None
    for number, part in enumerate((model, model.get('backbone') or {})):
        for device in ('meta', 'cpu'):  # some constructors compute, which 'meta' cannot
            with contextlib.suppress(Exception), torch.device(device):
                return number > 0, sum(one.numel() for one in build(part, scope).parameters())
    return True, sys.maxsize


def _predicts_boxes(config: Config) -> bool:
    """Whether a detector has a head for boxes, or its masks are measured as boxes too."""
    heads = any(key.endswith(('bbox_head', 'rpn_head', 'roi_head')) for part in walk(config.model) for key in part)
    return heads or any('bbox' in (part.get('metric') or ()) for part in walk(config.get('val_evaluator') or {}))


if __name__ == '__main__':
    main()
