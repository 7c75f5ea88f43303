"""Training, killing and evaluating through the scripts, with a linear model and, once, a real detector."""
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import mmengine
import pytest
import torch
from mmdet.engine.hooks import DetVisualizationHook
from mmengine.config import Config

from agssp_mm.cli import run_command
from agssp_mm.datasets.synthetic import make_dataset

ROOT = Path(__file__).parents[2]

TOY_MODULE = '''
import os
import time

import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS
from mmengine.evaluator import BaseMetric


@DATASETS.register_module(force=True)
class Line(torch.utils.data.Dataset):
    """Points of y = 2x."""
    metainfo = {}

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return dict(x=torch.tensor([index / 8]), y=torch.tensor([index / 4]))


@MODELS.register_module(force=True)
class ToyRegressor(BaseModel):
    def __init__(self, norm=None):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        torch.nn.init.zeros_(self.layer.weight)
        torch.nn.init.zeros_(self.layer.bias)

    def forward(self, x, y, mode='tensor'):
        error = (self.layer(x) - y) ** 2
        return dict(loss=error.mean()) if mode == 'loss' else [float(value) for value in error]


@METRICS.register_module(force=True)
class MeanError(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        return dict(error=sum(results) / len(results))


@HOOKS.register_module(force=True)
class Record(Hook):
    """One line per iteration: rank, iteration, weight."""
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        weight = next(runner.model.parameters()).item()
        with open(os.path.join(runner.work_dir, f'iterations-{runner.rank}.txt'), 'a') as file:
            file.write(f'{runner.iter + 1} {weight!r}\\\\n')
        time.sleep(float(os.environ.get('TOY_SECONDS', 0)))
'''.replace('\\\\n', '\\n')

TOY_CONFIG = '''
custom_imports = dict(imports=['toy_training'])
model = dict(type='ToyRegressor', norm=dict(type='SyncBN'))
loader = dict(dataset=dict(type='Line'), batch_size=2, num_workers=0, collate_fn=dict(type='default_collate'),
              sampler=dict(type='DefaultSampler', shuffle=False))
train_dataloader = val_dataloader = test_dataloader = loader
train_cfg = dict(by_epoch=True, max_epochs=3)
val_cfg = test_cfg = dict()
val_evaluator = test_evaluator = dict(type='MeanError')
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))
default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=1))
custom_hooks = [dict(type='Record')]
randomness = dict(seed=0)
'''

DETECTOR_CONFIG = '''
_base_ = 'mmdet::_base_/default_runtime.py'
custom_imports = dict(imports=['agssp_mm'])
classes = ('scratch', 'pit', 'inclusion', 'crack', 'patch', 'scale')
model = dict(
    type='RetinaNet',
    data_preprocessor=dict(type='DetDataPreprocessor', mean=[128.0] * 3, std=[64.0] * 3, pad_size_divisor=32),
    backbone=dict(type='ResNet', depth=18, base_channels=8, norm_cfg=dict(type='BN'), out_indices=(1, 2, 3)),
    neck=dict(type='FPN', in_channels=[16, 32, 64], out_channels=8, num_outs=3),
    bbox_head=dict(
        type='RetinaHead', num_classes=len(classes), in_channels=8, feat_channels=8, stacked_convs=1,
        anchor_generator=dict(type='AnchorGenerator', octave_base_scale=4, scales_per_octave=1, ratios=[1.0],
                              strides=[8, 16, 32]),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True), loss_bbox=dict(type='L1Loss')),
    train_cfg=dict(assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, ignore_iof_thr=-1),
                   allowed_border=-1, pos_weight=-1),
    test_cfg=dict(nms_pre=100, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=5))
pack = dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))
pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
            dict(type='Resize', scale=(64, 64)), pack]
dataset = dict(type='CocoDataset', data_root='data', data_prefix=dict(img='images'), pipeline=pipeline,
               metainfo=dict(classes=classes))
train_dataloader = dict(batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
                        dataset=dict(dataset, ann_file='annotations/train.json'))
test_dataloader = dict(batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
                       dataset=dict(dataset, ann_file='annotations/val.json', test_mode=True))
test_evaluator = dict(type='CocoMetric', ann_file='data/annotations/val.json', metric='bbox')
train_cfg = dict(by_epoch=True, max_epochs=1)
test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01))
'''


@pytest.fixture
def toy(tmp_path, monkeypatch):
    (tmp_path / 'toy_training.py').write_text(TOY_MODULE)
    (tmp_path / 'line.py').write_text(TOY_CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(tmp_path), str(ROOT)]))
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    yield tmp_path
    sys.modules.pop('toy_training', None)


def script(name, *arguments):
    """Run a script of tools/ in this process; returns its exit status."""
    spec = importlib.util.spec_from_file_location(f'tools_{name}', ROOT / 'tools' / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return run_command(module, f'{name}.py', [str(argument) for argument in arguments])


def iterations(work_dir, rank=0):
    lines = (work_dir / f'iterations-{rank}.txt').read_text().splitlines()
    return [(int(number), float(weight)) for number, weight in (line.split() for line in lines)]


def weight_after(work_dir, name):
    state = torch.load(work_dir / name, weights_only=False)['state_dict']
    return state['layer.weight'].item()


def test_train_resume_and_test(toy, capsys):
    assert script('train', 'line.py', '--cfg-options', 'train_cfg.max_epochs=2') == 0
    work_dir = toy / 'work_dirs' / 'line'
    assert [number for number, _ in iterations(work_dir)] == list(range(1, 9))

    assert script('train', 'line.py', '--resume') == 0
    assert [number for number, _ in iterations(work_dir)] == list(range(1, 13))

    assert script('train', 'line.py', '--work-dir', 'straight') == 0
    assert iterations(toy / 'straight') == iterations(work_dir)

    assert script('test', 'line.py', work_dir / 'epoch_3.pth', '--work-dir', 'tested') == 0
    metrics = json.loads(next((toy / 'tested').glob('*/*.json')).read_text())
    state = torch.load(work_dir / 'epoch_3.pth', weights_only=False)['state_dict']
    x = torch.arange(8) / 8
    error = ((state['layer.weight'] * x + state['layer.bias'] - 2 * x)**2).mean().item()
    assert metrics['error'] == pytest.approx(error, rel=1e-5)


def test_resume_without_a_checkpoint_keeps_load_from(toy):
    """A stage that was killed before its first checkpoint must not forget the stage before it."""
    torch.save(dict(state_dict={'layer.weight': torch.tensor([[5.0]]), 'layer.bias': torch.zeros(1)}), 'before.pth')
    assert script('train', 'line.py', '--resume', '--cfg-options', 'load_from=before.pth',
                  'optim_wrapper.optimizer.lr=0', 'train_cfg.max_epochs=1') == 0
    assert weight_after(toy / 'work_dirs' / 'line', 'epoch_1.pth') == 5.0


def test_how_much_of_a_checkpoint_has_to_fit(toy, capsys):
    """Configs without a load report get one, and --strict and --allow-partial reach it."""
    weight = {'layer.weight': torch.tensor([[5.0]])}
    torch.save(dict(state_dict=weight), 'part.pth')
    torch.save(dict(state_dict={**weight, 'old.bias': torch.zeros(1), 'layer.bias': torch.zeros(2)}), 'little.pth')
    for name, options, status in (('part', [], 0), ('part', ['--strict'], 2), ('little', [], 0),
                                  ('little', ['--allow-partial'], 0), ('part', ['--strict', '--allow-partial'], 2)):
        assert script('train', 'line.py', *options, '--cfg-options', f'load_from={name}.pth',
                      'train_cfg.max_epochs=1') == status
    assert 'does not fit to the last tensor' in capsys.readouterr().err
    assert script('test', 'line.py', 'part.pth', '--strict') == 2
    assert '1 of the model not in the file: layer.bias' in capsys.readouterr().err


@pytest.mark.parametrize('arguments, message', [
    (['nowhere.py'], 'config: nowhere.py is no file'),
    (['line.txt'], 'config: line.txt ends in ".txt"'),
    (['line.py', '--resume', 'gone.pth'], '--resume: gone.pth is no file'),
    (['line.py', '--auto-scale-lr'], 'auto_scale_lr.base_batch_size'),
    (['line.py', '--launcher', 'pytorch'], '--launcher pytorch needs RANK, WORLD_SIZE, LOCAL_RANK'),
    (['line.py', '--cfg-options', 'load_from=gone.pth'], 'gone.pth does not exist'),
    (['line.py', '--cfg-options', 'load_from=evil.pth'], '--trust-checkpoint'),
])
def test_bad_input_is_one_line_before_any_training(toy, capsys, monkeypatch, arguments, message):
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'):
        monkeypatch.delenv(name, raising=False)
    (toy / 'line.txt').write_text('')
    torch.save(dict(state_dict=dict(), meta=Path('evil')), 'evil.pth')
    assert script('train', *arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith('train.py: error: ')
    assert message in error
    assert not list(toy.glob('**/iterations-0.txt'))


@pytest.mark.parametrize('arguments, message', [
    (['line.py', 'gone.pth'], 'gone.pth does not exist'),
    (['line.py', 'gone.pth', '--out', 'predictions.json'], 'predictions are written as .pkl'),
    (['line.py', 'gone.pth', '--show-dir', 'drawn'], 'DetVisualizationHook'),
])
def test_bad_input_to_test(toy, capsys, arguments, message):
    assert script('test', *arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith('test.py: error: ')
    assert message in error


@pytest.mark.parametrize('named', ['DetVisualizationHook', 'mmdet.DetVisualizationHook', DetVisualizationHook])
def test_drawing_knows_the_hook_by_name_and_by_class(named):
    spec = importlib.util.spec_from_file_location('test_script', ROOT / 'tools' / 'test.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    cfg = Config(dict(default_hooks=dict(visualization=dict(type=named))))
    module.draw_detections(cfg, 'drawn')
    assert cfg.default_hooks.visualization == dict(type=named, draw=True, test_out_dir='drawn')


def test_a_class_count_that_does_not_fit_is_one_line(toy, capsys):
    make_dataset('data', 4, 64, num_val=2)
    Path('detector.py').write_text(DETECTOR_CONFIG + "custom_hooks = [dict(type='NumClassCheckHook')]\n")
    assert script('train', 'detector.py', '--cfg-options', 'model.bbox_head.num_classes=2') == 2
    shown = capsys.readouterr().err
    assert re.search(r'error: .*`num_classes` \(2\) in RetinaHead .*; set num_classes of that head', shown)


@pytest.mark.slow
def test_a_detector_is_trained_and_its_predictions_are_drawn_and_dumped(toy):
    make_dataset('data', 6, 64, num_val=4)
    categories = json.loads(Path('data/annotations/val.json').read_text())['categories']
    assert all(f"'{category['name']}'" in DETECTOR_CONFIG for category in categories)
    Path('detector.py').write_text(DETECTOR_CONFIG)
    assert script('train', 'detector.py') == 0
    checkpoint = toy / 'work_dirs' / 'detector' / 'epoch_1.pth'

    assert script('test', 'detector.py', checkpoint, '--work-dir', 'tested', '--out', 'predictions.pkl',
                  '--show-dir', 'drawn') == 0
    metrics = json.loads(next((toy / 'tested').glob('*/*.json')).read_text())
    assert 0 <= metrics['coco/bbox_mAP'] <= 1
    predictions = mmengine.load('predictions.pkl')
    assert [Path(one['img_path']).name for one in predictions] == [f'{index:06d}.png' for index in range(4)]
    assert all(0 < len(one['pred_instances']['bboxes']) <= 5 for one in predictions)
    assert sorted(path.name for path in (toy / 'tested').glob('*/drawn/*')) == [
        f'{index:06d}.png' for index in range(4)]


@pytest.mark.slow
def test_two_processes_average_their_gradients_by_gloo(toy):
    subprocess.run([ROOT / 'tools' / 'dist_train.sh', 'line.py', '2', '--work-dir', 'two',
                    '--cfg-options', 'train_cfg.max_epochs=2', 'train_dataloader.batch_size=1'],
                   env={**os.environ, 'PYTHON': sys.executable, 'CUDA_VISIBLE_DEVICES': ''}, check=True)
    assert script('train', 'line.py', '--work-dir', 'one', '--cfg-options', 'train_cfg.max_epochs=2') == 0
    # Two processes with one point each see the same pairs as one process with two: rank r takes points r, r + 2, ...
    assert [number for number, _ in iterations(toy / 'two')] == list(range(1, 9))
    weights = [weight for _, weight in iterations(toy / 'two')]
    assert weights == [weight for _, weight in iterations(toy / 'two', rank=1)]
    assert weights == pytest.approx([weight for _, weight in iterations(toy / 'one')], rel=1e-5)


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_same_iterations(toy):
    command = [sys.executable, ROOT / 'tools' / 'train.py', 'line.py', '--resume', '--work-dir', 'killed']
    process = subprocess.Popen(command, env={**os.environ, 'TOY_SECONDS': '0.3'}, start_new_session=True)
    pointer = toy / 'killed' / 'last_checkpoint'
    deadline = time.monotonic() + 120
    while not pointer.is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = iterations(toy / 'killed')
    assert 4 <= len(done) < 12
    # What a kill in the middle of a write leaves: half a newer checkpoint that the pointer names already.
    whole = Path(pointer.read_text())
    half = whole.with_name('epoch_9.pth')
    half.write_bytes(whole.read_bytes()[:-100])
    pointer.write_text(str(half))

    subprocess.run(command, check=True)
    assert script('train', 'line.py', '--work-dir', 'straight') == 0
    resumed = iterations(toy / 'killed')[len(done):]
    assert resumed == iterations(toy / 'straight')[-len(resumed):]
    assert resumed[0][0] % 4 == 1
    assert weight_after(toy / 'killed', 'epoch_3.pth') == weight_after(toy / 'straight', 'epoch_3.pth')
