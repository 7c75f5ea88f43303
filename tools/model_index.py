"""Write model-index.yml, and a metafile.yml into every folder of configs that has none, for OpenMMLab's `mim`.

A metafile that is there is kept, so that measured results can be written into it by hand; configs that it does not
name are added at its end.
"""
import argparse
import sys
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config

from agssp_mm.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
PAPER = dict(Title='Anomaly-Guided Self-Supervised Pretraining', URL='https://arxiv.org/abs/2509.18919')
STAGES = {'agbp': 'stage 1, backbone (AGBP)', 'agdp': 'stage 2, detector (AGDP)', 'finetune': 'fine-tuning'}


def config_folders(root: Path) -> list[Path]:
    """Folders below `configs` that hold configs to run, sorted."""
    found = {path.parent for path in (root / 'configs').rglob('*.py')}
    return sorted(folder for folder in found if '_base_' not in folder.relative_to(root).parts)


def describe_folder(folder: Path, root: Path) -> dict[str, Any]:
    """Build the metafile of a folder from its configs."""
    name = f'AGSSP {folder.name}'
    configs = sorted(folder.glob('*.py'))
    parts = max((_parts(path) for path in configs), key=len)
    metadata = {'Training Techniques': ['Anomaly-guided self-supervised pretraining'], 'Architecture': parts}
    return dict(Collections=[dict(Name=name, Metadata=metadata, Paper=PAPER)],
                Models=[_describe(path, name, root) for path in configs])


def _describe(path: Path, collection: str, root: Path) -> dict[str, Any]:
    stage = next((text for word, text in STAGES.items() if word in path.stem.split('_')), 'fine-tuning')
    return {'Name': path.stem, 'In Collection': collection, 'Config': path.relative_to(root).as_posix(),
            'Metadata': dict(Stage=stage)}


def _parts(path: Path) -> list[str]:
    """Types of the model's main parts."""
    # Those of YOLOv8 import MMYOLO, which need not be there.
    model = Config.fromfile(path, import_custom_modules=False).get('model') or {}
    parts = [model, *(model.get(name) for name in ('backbone', 'neck', 'bbox_head', 'head', 'roi_head'))]
    types = [str(part['type']) for part in parts if isinstance(part, dict) and part.get('type')]
    return [one.rsplit('.', 1)[-1] for one in types if one != 'BackbonePretrainer']


def write_all(root: Path) -> list[Path]:
    """Write what is missing; returns the metafiles."""
    metafiles = []
    for folder in config_folders(root):
        path = folder / 'metafile.yml'
        metafiles.append(path)
        wanted = describe_folder(folder, root)
        if path.is_file():
            kept = yaml.safe_load(path.read_text())
            named = {model['Config'] for model in kept['Models']}
            added = [model for model in wanted['Models'] if model['Config'] not in named]
            if not added:
                continue
            wanted = {**kept, 'Models': kept['Models'] + added}
        _write(path, wanted)
    _write(root / 'model-index.yml', dict(Import=[path.relative_to(root).as_posix() for path in metafiles]))
    return metafiles


def _write(path: Path, content: dict[str, Any]) -> None:
    with write_atomically(path) as file:
        file.write(yaml.safe_dump(content, sort_keys=False, width=120).encode())


def main() -> int:
    """Write the files of this checkout."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    print(f'model-index.yml names {len(write_all(ROOT))} metafiles')
    return 0


if __name__ == '__main__':
    sys.exit(main())
