"""Running a converter in this process, on made files."""
import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from agssp_mm.cli import run_command

FOLDER = Path(__file__).parents[3] / 'tools' / 'dataset_converters'


@pytest.fixture
def converters(monkeypatch):
    """`load(name)` imports a converter or one of its parts; they lie outside the package."""
    monkeypatch.syspath_prepend(FOLDER)

    def load(name):
        spec = importlib.util.spec_from_file_location(f'converter_{name}', FOLDER / f'{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    yield load
    for name in [name for name in sys.modules if name.split('.')[0] == 'converter_parts']:
        del sys.modules[name]


@pytest.fixture
def convert(converters, tmp_path, capsys):
    """Run a converter over `tmp_path`: status, what it printed, and the two parts where it wrote them."""
    def run(name, *arguments):
        status = run_command(converters(name), f'{name}.py', [str(tmp_path), *arguments])
        printed = capsys.readouterr()
        parts = {part: json.loads((tmp_path / 'annotations' / f'{part}.json').read_text()) if status == 0 else None
                 for part in ('train', 'val')}
        return SimpleNamespace(status=status, out=printed.out, err=printed.err, **parts)
    return run


def make_image(path, width=40, height=30, values=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((height, width), np.uint8) if values is None else values).save(path)


def make_voc(path, width, height, *objects):
    """Write an annotation; an object is (class, xmin, ymin, xmax, ymax)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    boxes = ''.join(
        f'<object><name>{name}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>'
        '</bndbox></object>' for name, x1, y1, x2, y2 in objects)
    path.write_text(f'<annotation><filename>{path.stem}.jpg</filename><size><width>{width}</width>'
                    f'<height>{height}</height><depth>1</depth></size>{boxes}</annotation>')


def boxes_of(coco):
    """File name -> [(class, bbox)] of a COCO JSON."""
    names = {one['id']: one['name'] for one in coco['categories']}
    found = {image['file_name']: [] for image in coco['images']}
    files = {image['id']: image['file_name'] for image in coco['images']}
    for one in coco['annotations']:
        found[files[one['image_id']]].append((names[one['category_id']], one['bbox']))
    return found


@pytest.fixture
def made():
    """The helpers above; test modules cannot import them."""
    return SimpleNamespace(image=make_image, voc=make_voc, boxes_of=boxes_of)
