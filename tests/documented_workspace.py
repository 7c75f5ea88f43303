"""A copy of the checkout on made data, in which the commands of the pages are run as they stand there.

What shortens them stands in three tables below, and nowhere else: `SHORTER` gives a command options besides its own,
`PLACEHOLDERS` gives words in capitals a meaning, `BEFORE` makes what a page takes for granted.
"""
import json
import os
import shutil
import subprocess
import sys
import textwrap
import venv
from pathlib import Path

import torch

from documented_blocks import ROOT

_FAST = 'train_cfg.max_epochs=1 param_scheduler.1.T_max=1 train_dataloader.batch_size=2'
#: Pattern of a call -> options that are added at its end; the first pattern that fits counts. All of it is about
#: length and size: epochs, pixels, repetitions. pip is kept off the network, and installs into an
#: environment of its own that sees this one.
SHORTER = {
    'agssp pretrain *': '--agbp-epochs 1 --agdp-epochs 1 --batch-size 2 --image-size 64 --workers 0',
    'python tools/train.py *_agbp.py*':
        f'--cfg-options {_FAST} train_dataloader.dataset.held_out=4 val_dataloader.dataset.held_out=4',
    'python tools/train.py configs/*': f'--cfg-options {_FAST}',
    'python tools/train.py work_dirs/mine/finetune.py': f'--cfg-options {_FAST} train_cfg.val_interval=1',
    'python tools/benchmarks/transfer.py *--time-limit*':  # of transfer_grid.sh: all starts ran before it
        '--init imagenet --seeds 0 --epochs 1 --image-size 96 --finetune-options train_dataloader.batch_size=2',
    'python tools/benchmarks/transfer.py *--out*':
        f'--seeds 0 --epochs 1 --image-size 96 --pretrain-options {_FAST} --finetune-options '
        'train_dataloader.batch_size=2',
    'python tools/benchmarks/hook_overhead.py *': '--pairs 6 --depth 18 --batch-size 2 --size 64',
    'python tools/benchmarks/kead_cost.py *': '--model FOLDER/model.json --batch-size 1 --repeats 1',
    'python tools/draw_concepts.py': '--help',
    'pip install -e .': '--quiet --no-deps --no-build-isolation --no-index --ignore-installed',
}
PLACEHOLDERS = {'NAME': 'texture', 'KEY=VALUE': 'long_side=128',
                'CONFIG': 'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py'}
#: Page -> commands that make what it takes for granted, run in the same shell before its own.
BEFORE = {
    'README.md': 'ln -sfn ../made/images data/mill',
    'docs/images.md': 'ln -sfn made/deep IMAGES; agssp generate-maps data/mill work_dirs/maps/mill',
    'docs/own-data.md': 'cp data/neu_det/annotations/train_10pct.json LABELS.json; '
                        'cp data/neu_det/annotations/dev.json VAL.json; ln -sfn data/neu_det/images/train LABELLED',
    'docs/run_page.md': 'ln -sfn ../made/images data/mine',
    'docs/checkpoints.md': 'python made/checkpoints.py',
    'docs/transfer-benchmark.md':
        'cp -r data/neu_det data/plate; cp data/plate/annotations/train_10pct.json data/plate/annotations/few.json',
    'docs/research.md': 'cp work_dirs/retinanet_efficientnet-lite0_agdp/detector.pth .',
}
#: Page -> pages whose results it goes on with.
NEEDS = {'docs/own-data.md': ['README.md'], 'docs/run_page.md': ['docs/own-data.md'],
         'docs/any-detector.md': ['docs/own-data.md'], 'docs/images.md': ['README.md'],
         'docs/results.md': ['README.md'], 'docs/research.md': ['README.md']}
#: Benchmarks that exit with 1 where a limit of time is missed: such small calls say nothing about it.
_MAY_MISS = ('hook_overhead.py', 'kead_cost.py')

_CLASSES = ('crazing', 'inclusion', 'patches', 'pitted_surface', 'rolled-in_scale', 'scratches')
_CHECKPOINTS = '''
import shutil, timm, torch
from mmdet.models import ResNet
from safetensors.torch import save_file
state = {f'backbone.{name}': value for name, value in ResNet(18).state_dict().items()}
torch.save(dict(state_dict=dict(state, **{'neck.weight': torch.ones(2)}), optimizer=dict(state={}),
                meta=dict(epoch=3, cfg='model = 1')), 'work_dirs/x/epoch_3.pth')
shutil.copy('work_dirs/x/epoch_3.pth', 'work_dirs/x/backbone.pth')
from mmdet.registry import MODELS
from mmengine.hub import get_config
from mmengine.registry import init_default_scope
init_default_scope('mmdet')
detector = get_config('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py').model
detector.backbone.init_cfg = None
torch.save(dict(state_dict=MODELS.build(detector).state_dict(), meta=dict()), 'work_dirs/x/detector.pth')
save_file(timm.create_model('swin_tiny_patch4_window7_224').state_dict(), 'swin_t.safetensors')
'''


def make_workspace(folder: Path) -> None:
    """Copy the checkout and make data, placeholders and the wrappers of the commands."""
    ignore = shutil.ignore_patterns('__pycache__', '*.pyc', '*.egg-info')
    for name in ('agssp_mm', 'configs', 'docs', 'tools', 'requirements'):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for path in ROOT.iterdir():
        if path.is_file() and path.name != '.git':
            shutil.copy(path, folder)
    for name in ('data', 'made', 'work_dirs/x'):
        (folder / name).mkdir(parents=True)
    _make_data(folder)
    _make_placeholders(folder)
    _make_wrappers(folder / 'bin')
    _make_environment(folder / 'other')


def run_in_workspace(folder: Path, script: str) -> subprocess.CompletedProcess:
    """Run lines of bash; the first command that fails ends them and is named."""
    guarded = "set -Eeuo pipefail\ntrap 'echo \"failed: $BASH_COMMAND\" >&2' ERR\n" + script
    environment = {**os.environ, 'PATH': f'{folder / "bin"}{os.pathsep}{os.environ["PATH"]}',
                   'PYTHONPATH': str(folder), 'AGSSP_DATA_ROOT': str(folder / 'data'), 'CUDA_VISIBLE_DEVICES': '',
                   'PYTHON': str(folder / 'bin' / 'python'), 'OMP_NUM_THREADS': '1',
                   'PIP_DISABLE_PIP_VERSION_CHECK': '1'}
    return subprocess.run(['bash', '-c', guarded], cwd=folder, env=environment, capture_output=True, text=True)


def _make_data(folder: Path) -> None:
    """Sets in the layout of the two public ones, and the same images for the placeholders."""
    from agssp_mm.datasets.synthetic import make_dataset
    for seed, name in enumerate(('neu_det', 'magnetic_tile')):
        made, target = make_dataset(folder / 'made' / name, 20, 64, seed, num_val=4), folder / 'data' / name
        (target / 'annotations').mkdir(parents=True)
        for part in ('train', 'val'):
            coco = json.loads((made / 'annotations' / f'{part}.json').read_text())
            coco['categories'] = [dict(id=number, name=kind) for number, kind in enumerate(_CLASSES, 1)]
            for kind in ('images', 'masks'):
                (target / kind / part).mkdir(parents=True)
                for image in coco['images']:
                    shutil.copy(made / kind / image['file_name'], target / kind / part)
            parts = {part: coco['images']}
            if part == 'train':
                parts |= dict(train_5pct=coco['images'][:2], train_10pct=coco['images'][:4],
                              train_25pct=coco['images'][:8], dev=coco['images'][8:12])
            for label, images in parts.items():
                _write_coco(target / 'annotations' / f'{label}.json', coco, images)
    shutil.copytree(folder / 'data' / 'neu_det' / 'images' / 'train', folder / 'made' / 'images')
    shutil.copy(folder / 'data' / 'neu_det' / 'annotations' / 'train.json', folder / 'made' / 'images' / 'val.json')


def _write_coco(path: Path, coco: dict, images: list[dict]) -> None:
    known = {image['id'] for image in images}
    boxes = [box for box in coco['annotations'] if box['image_id'] in known]
    path.write_text(json.dumps(dict(images=images, annotations=boxes, categories=coco['categories'])))


def _make_placeholders(folder: Path) -> None:
    import cv2
    import numpy as np
    sys.path.insert(0, str(ROOT / 'tests' / 'teachers'))
    from kead_toys import write_golden
    (folder / 'made' / 'deep').mkdir()
    (folder / 'MAPS').mkdir()
    for path in sorted((folder / 'made' / 'images').glob('*.png')):
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(folder / 'made' / 'deep' / path.name), grey.astype(np.uint16) * 16)
        np.save(folder / 'MAPS' / path.stem, cv2.resize(grey, (16, 16)).astype(np.float32) / 255)
    cv2.imwrite(str(folder / 'coil.tif'), grey.astype(np.uint16) * 16)
    for name in ('IMAGES', 'FOLDER_TO_LEARN_FROM'):
        (folder / name).symlink_to('made/images')
    names = ''.join(f'{path.name}\n' for path in sorted((folder / 'data/neu_det/images/train').iterdir()))
    for name in ('LIST', 'PRETRAINING_IMAGES.txt'):
        (folder / name).write_text(names)
    agdp = folder / 'configs/agssp/retinanet_efficientnet-lite0/retinanet_efficientnet-lite0_agdp.py'
    (folder / 'AGDP_CONFIG.py').write_text(f'_base_ = {str(agdp)!r}\n')
    (folder / 'made' / 'checkpoints.py').write_text(_CHECKPOINTS)
    (folder / 'FOLDER').mkdir()
    (folder / 'done.txt').touch()
    write_golden(folder / 'FOLDER')


def _make_wrappers(folder: Path) -> None:
    """`python`, `agssp`, ... that put placeholders and `SHORTER` in, note the call and run the real one."""
    folder.mkdir()
    words = '\n'.join(f'    {word}) words+=({value});;' for word, value in PLACEHOLDERS.items())
    more = '\n'.join(f'    {_glob(pattern)}) words+=({options});;' for pattern, options in SHORTER.items())
    missing = '|'.join(f'"1 python "*{name}*' for name in _MAY_MISS)
    script = textwrap.dedent('''\
        #!/usr/bin/env bash
        called=$(basename "$0") words=() status=0 started=$SECONDS
        for word in "$@"; do
            case $word in
        WORDS
            *) words+=("$word");;
            esac
        done
        case "$called $*" in
        MORE
        esac
        case "$called $*" in *generate_maps.py*" STORE"*) rm -rf STORE;; esac  # calls that stand for alternatives
        call="$called ${words[*]}"
        if [[ $call == "python tools/train.py configs/"* ]] && grep -qxF "$call" done.txt; then exit 0; fi
        case $called in
            make) MAKE --dry-run "${words[@]}" || status=$?;;
            pip) BIN/python -m pip --python other/bin/python "${words[@]}" || status=$?;;
            *) BIN/"$called" "${words[@]}" || status=$?;;
        esac
        echo "$((SECONDS - started)) s, status $status: $call" >> ran.txt
        [[ $status != 0 ]] || echo "$call" >> done.txt  # a training of another page is not run twice
        case "$status $called $*" in MISSING) status=0;; esac
        exit $status
        ''')
    for name, value in (('WORDS', words), ('MORE', more), ('MISSING', missing), ('MAKE', shutil.which('make')),
                        ('BIN', str(Path(sys.executable).parent))):
        script = script.replace(name, value)
    (folder / 'wrapper').write_text(script)
    (folder / 'wrapper').chmod(0o755)
    for name in ('python', 'agssp', 'make', 'pip'):
        (folder / name).symlink_to('wrapper')


def _glob(pattern: str) -> str:
    """A pattern for bash's case: everything but the stars is literal."""
    return '*'.join(f'"{part}"' if part else '' for part in pattern.split('*'))


def _make_environment(folder: Path) -> None:
    """For pip: an environment that sees the packages of this one, and in which nothing of this one can be lost."""
    venv.create(folder, with_pip=False)
    own = next((folder / 'lib').glob('python3*')) / 'site-packages'
    (own / 'stack.pth').write_text(f'{Path(torch.__file__).parents[1]}\n')
