"""The wheel holds all of the package and nothing else, and works without the checkout."""
import os
import shutil
import subprocess
import sys
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

from agssp_mm import __version__

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    source = tmp_path_factory.mktemp('source')
    shutil.copytree(ROOT / 'agssp_mm', source / 'agssp_mm', ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('setup.py', 'README.md', 'LICENSE'):
        shutil.copy(ROOT / name, source)
    (source / 'tests').mkdir()
    (source / 'tests' / 'stray.py').write_text('')
    out = tmp_path_factory.mktemp('wheel')
    subprocess.run([sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-build-isolation',
                    '--wheel-dir', out, source], check=True)
    return next(out.glob('*.whl'))


@pytest.fixture(scope='module')
def site(wheel, tmp_path_factory):
    site = tmp_path_factory.mktemp('site')
    subprocess.run([sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--target', site, wheel],
                   check=True)
    return site


def call(site, *words):
    return subprocess.run([sys.executable, *words], cwd=site, capture_output=True, text=True, check=True,
                          env={**os.environ, 'PYTHONPATH': str(site)}).stdout


def test_it_holds_every_file_of_the_package_and_no_other(wheel):
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / 'agssp_mm').rglob('*')
               if path.is_file() and '__pycache__' not in path.parts}
    assert 'agssp_mm/py.typed' in package
    packed = {name for name in ZipFile(wheel).namelist() if '.dist-info/' not in name}
    assert packed == package


def test_its_metadata(wheel):
    archive = ZipFile(wheel)
    info = next(name for name in archive.namelist() if name.endswith('.dist-info/METADATA'))
    metadata = Parser().parsestr(archive.read(info).decode())
    assert metadata['Version'] == __version__
    assert metadata['Requires-Python'] == '>=3.11'
    hard = [line for line in metadata.get_all('Requires-Dist') if 'extra ==' not in line]
    assert {line.split('>')[0].strip() for line in hard} == {'torch', 'numpy', 'scikit-image', 'tifffile', 'Pillow',
                                                             'packaging'}
    assert set(metadata.get_all('Provides-Extra')) == {'demo', 'kead', 'test'}
    assert any(name.endswith('LICENSE') for name in archive.namelist())


def test_it_imports_and_registers_outside_the_checkout(site):
    out = call(site, '-c', 'import agssp_mm; from mmengine.registry import TASK_UTILS; '
                           'print(agssp_mm.__file__, "TextureTeacher" in TASK_UTILS)')
    assert out.split() == [str(site / 'agssp_mm' / '__init__.py'), 'True']


def test_its_command_runs(site):
    assert call(site, site / 'bin' / 'agssp', '--version') == f'agssp_mm {__version__}\n'
