"""Which way imports point, inside functions too, and what `import agssp_mm` pulls."""
import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import agssp_mm

PACKAGE = Path(agssp_mm.__file__).parent
# Lower rooms never import higher ones, nor their neighbours on the same floor.
FLOORS = (
    {'_dependencies', 'files', 'version'},
    {'images', 'doctor'},
    {'teachers'},
    {'models', 'checkpoints', 'maps'},
    {'engine', 'datasets'},
    {'recipes'},
    {'visualization'},  # the run page reads the folders that recipes lay out
    {'api'},
    {'cli', 'commands'},
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob('*.py'))


def imported_names(source: str, module: str, is_package: bool) -> set[str]:
    """Absolute dotted names of everything a module imports, relative imports resolved."""
    package = module if is_package else module.rpartition('.')[0]
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split('.')[:len(package.split('.')) - node.level + 1] if node.level else []
            stem = '.'.join([*base, *(node.module.split('.') if node.module else [])])
            names.update(f'{stem}.{alias.name}' for alias in node.names)
    return names


def room_of(name: str) -> str | None:
    """The room of a dotted name inside the package; None for the package itself and for other packages."""
    parts = name.split('.')
    return parts[1] if parts[0] == 'agssp_mm' and len(parts) > 1 and not parts[1].startswith('__version') else None


def wrong_way(room: str, names: set[str]) -> list[str]:
    """The imports that a module of a room may not have."""
    def allowed(other: str | None) -> bool:
        return other in (None, room) or FLOOR_OF[other] < FLOOR_OF[room] or {room, other} == {'cli', 'commands'}

    return sorted(name for name in names if not allowed(room_of(name)) or name.split('.')[0] in ('tools', 'tests'))


@pytest.mark.parametrize('path', MODULES, ids=str)
def test_imports_point_one_way(path):
    dotted = '.'.join(['agssp_mm', *path.with_suffix('').parts]).removesuffix('.__init__')
    names = imported_names((PACKAGE / path).read_text(), dotted, path.name == '__init__.py')
    room = room_of(dotted)
    if room is None:  # the package itself may import any room
        return
    assert room in FLOOR_OF, f'{room} is a new room: give it a floor in this test'
    assert not wrong_way(room, names)


@pytest.mark.parametrize('source, wrong', [
    ('from ..engine.freeze import FreezeHook', ['agssp_mm.engine.freeze.FreezeHook']),
    ('def late():\n    from agssp_mm import datasets', ['agssp_mm.datasets']),
    ('import agssp_mm.api', ['agssp_mm.api']),
    ('from ..models import losses', ['agssp_mm.models.losses']),
    ('from tools.train import main', ['tools.train.main']),
    ('from ..teachers.base import Teacher\nfrom .boxes import BoxRule\nfrom ..images import read_image', []),
])
def test_the_walk_sees_wrong_imports(source, wrong):
    assert wrong_way('maps', imported_names(source, 'agssp_mm.maps.store', is_package=False)) == wrong


@pytest.fixture(scope='module')
def fresh_import():
    code = ('import json, sys, agssp_mm, importlib\n'
            'from mmengine.registry import TASK_UTILS\n'
            'before = dict(TASK_UTILS.module_dict)\n'
            'for name in [name for name in sys.modules if name == "agssp_mm"]:\n'
            '    importlib.reload(sys.modules[name])\n'
            'assert dict(TASK_UTILS.module_dict) == before\n'
            'print(json.dumps([sorted(sys.modules), sorted(before)]))')
    answer = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    return json.loads(answer.stdout.splitlines()[-1])


def test_import_pulls_no_heavy_framework(fresh_import):
    modules, _ = fresh_import
    heavy = {'mmdet', 'mmpretrain', 'timm', 'open_clip', 'mmcv.ops', 'mmcv._ext', 'matplotlib.pyplot'}
    assert heavy.isdisjoint(modules)


def test_import_registers_the_types_and_twice_is_harmless(fresh_import):
    modules, registered = fresh_import
    assert {f'agssp_mm.{name}' for name in agssp_mm.REGISTERING_MODULES} <= set(modules)
    assert 'TextureTeacher' in registered


def test_every_module_that_registers_types_is_listed():
    registering = set()
    for path in MODULES:
        decorators = [ast.unparse(decorator) for node in ast.walk(ast.parse((PACKAGE / path).read_text()))
                      if isinstance(node, ast.ClassDef) for decorator in node.decorator_list]
        if any('.register_module' in text for text in decorators):
            registering.add('.'.join(path.with_suffix('').parts))
    assert registering == set(agssp_mm.REGISTERING_MODULES)
