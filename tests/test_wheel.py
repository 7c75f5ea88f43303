"""The wheel holds all of the package and nothing else, and works without the checkout."""
import os
import shutil
import subprocess
import sys
import textwrap
import venv
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
from packaging.requirements import Requirement

from agssp_mm import __version__

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    source = tmp_path_factory.mktemp('source')
    shutil.copytree(ROOT / 'agssp_mm', source / 'agssp_mm', ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('configs', 'tools'):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('setup.py', 'README.md', 'LICENSE', 'MANIFEST.in', 'model-index.yml'):
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
    mim = {f'agssp_mm/.mim/{path.relative_to(ROOT).as_posix()}' for folder in ('configs', 'tools')
           for path in (ROOT / folder).rglob('*') if path.is_file() and '__pycache__' not in path.parts}
    assert {'agssp_mm/.mim/tools/train.py', 'agssp_mm/.mim/configs/demo/metafile.yml'} <= mim
    packed = {name for name in ZipFile(wheel).namelist() if '.dist-info/' not in name}
    assert packed == package | mim | {'agssp_mm/.mim/model-index.yml'}


def test_its_metadata(wheel):
    archive = ZipFile(wheel)
    info = next(name for name in archive.namelist() if name.endswith('.dist-info/METADATA'))
    metadata = Parser().parsestr(archive.read(info).decode())
    assert metadata['Version'] == __version__
    assert metadata['Requires-Python'] == '>=3.11'
    hard = [line for line in metadata.get_all('Requires-Dist') if 'extra ==' not in line]
    # torch is none: pip would replace one that is too old, and leave mmcv compiled against it
    assert {line.split('>')[0].strip() for line in hard} == {'numpy', 'scikit-image', 'tifffile', 'Pillow', 'packaging',
                                                             'tqdm'}
    assert not next(Requirement(line) for line in hard if 'Pillow' in line).specifier.contains('10.2')  # no 16-bit PNG
    assert set(metadata.get_all('Provides-Extra')) == {'demo', 'docs', 'kead', 'report', 'test'}
    assert any(name.endswith('LICENSE') for name in archive.namelist())


def test_it_imports_and_registers_outside_the_checkout(site):
    out = call(site, '-c', 'import agssp_mm; from mmengine.registry import TASK_UTILS; '
                           'print(agssp_mm.__file__, "TextureTeacher" in TASK_UTILS)')
    assert out.split() == [str(site / 'agssp_mm' / '__init__.py'), 'True']


def test_its_command_runs(site):
    assert call(site, site / 'bin' / 'agssp', '--version') == f'agssp_mm {__version__}\n'


@pytest.fixture(scope='module')
def python(wheel, tmp_path_factory):
    """A new environment that sees the packages of this one, except where it has its own, and no checkout."""
    folder = tmp_path_factory.mktemp('environment')
    venv.create(folder, with_pip=False)
    python = folder / 'bin' / 'python'
    own = next((folder / 'lib').glob('python3*')) / 'site-packages'
    # Named in a .pth file, a folder is searched, but its own .pth files, such as that of this checkout, are not read.
    (own / 'stack.pth').write_text(f'{Path(torch.__file__).parents[1]}\n')
    subprocess.run([sys.executable, '-m', 'pip', '--python', python, 'install', '--quiet', '--no-deps', '--no-index',
                    wheel], check=True)
    return python


@pytest.fixture(scope='module')
def elsewhere(python, tmp_path_factory):
    """A folder that has nothing to do with the project, with images and the maps of the installed command."""
    folder = tmp_path_factory.mktemp('elsewhere')
    code = "from agssp_mm.datasets.synthetic import make_dataset; make_dataset('data', 8, 64, num_val=2)"
    run_in(folder, python, '-c', code)
    run_in(folder, python.parent / 'agssp', 'generate-maps', 'data/images', 'maps', '--device', 'cpu')
    return folder


def run_in(folder, *words):
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    done = subprocess.run(list(map(str, words)), cwd=folder, capture_output=True, text=True,
                          env={**environment, 'OMP_NUM_THREADS': '1'}, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


# Every type that is ours is named bare; `custom_imports` alone makes it known.
CONFIG = textwrap.dedent('''
    custom_imports = dict(imports=['agssp_mm'], allow_failed_imports=False)
    default_scope = {scope!r}
    model = {model}
    pipeline = [dict(type='LoadImageFromFile'),
                dict(type='AnomalyMapGenerator', store='maps', image_root='data/images'),
                dict(type='Resize', scale=(64, 64), keep_ratio=False), {pack}]
    train_dataloader = dict(
        batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(type='PseudoBoxDataset', images='data/images', store='maps', rule={rule}, pipeline=pipeline))
    custom_hooks = [dict(type='DistillationPretrainer', levels=(-1,)), dict(type='LoadReportHook'),
                    dict(type='DetectorExportHook')]
    train_cfg = dict(by_epoch=False, max_iters=2)
    optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01))
''')
SCOPES = {
    'mmdet': dict(
        model=dict(type='BackbonePretrainer', backbone=dict(type='ResNet', depth=18, base_channels=4),
                   data_preprocessor=dict(type='DetDataPreprocessor', pad_seg=True)),
        pack=dict(type='PackDetInputs', meta_keys=('img_shape',)), rule=dict(type='ComponentTreeBoxRule')),
    'mmpretrain': dict(
        model=dict(type='ImageClassifier', backbone=dict(type='ResNet', depth=18, base_channels=4, out_indices=(2, 3)),
                   neck=dict(type='GlobalAveragePooling'),
                   head=dict(type='LinearClsHead', num_classes=2, in_channels=32),
                   data_preprocessor=dict(type='ClsDataPreprocessor')),
        pack=dict(type='PackInputs', algorithm_keys=('gt_seg_map',)), rule=None),
}


@pytest.mark.parametrize('scope', SCOPES)
def test_bare_names_resolve_from_a_config_in_any_folder(python, elsewhere, scope):
    (elsewhere / f'in_{scope}.py').write_text(CONFIG.format(scope=scope, **SCOPES[scope]))
    code = textwrap.dedent(f'''
        import sys
        from mmengine.config import Config
        from mmengine.runner import Runner
        assert 'agssp_mm' not in sys.modules
        cfg = Config.fromfile('in_{scope}.py')
        cfg.work_dir = 'out_{scope}'
        Runner.from_cfg(cfg).train()
        print('from', sys.modules['agssp_mm'].__file__)
    ''')
    out = run_in(elsewhere, python, '-c', code)
    assert str(ROOT) not in out.splitlines()[-1] and out.splitlines()[-1].startswith(f'from {python.parents[1]}')
    written = torch.load(elsewhere / f'out_{scope}' / 'backbone.pth', weights_only=True)
    assert written['meta']['iter'] == 2 and written['meta']['data'][0]['teacher']['type'] == 'TextureTeacher'


def test_the_packed_tools_train_a_packed_config_as_mim_calls_them(python, elsewhere):
    mim = next(python.parents[1].glob('lib/*/site-packages/agssp_mm')) / '.mim'
    run_in(elsewhere, python, mim / 'tools' / 'train.py', 'in_mmdet.py', '--work-dir', 'packed', '--launcher', 'none')
    assert (elsewhere / 'packed' / 'detector.pth').is_file()
    config = mim / 'configs' / 'demo' / 'demo_agbp.py'
    code = f"from mmengine.config import Config; print(Config.fromfile('{config}').custom_hooks[0].type)"
    assert run_in(elsewhere, python, '-c', code).split()[-1] == 'DistillationPretrainer'
