"""The three stages of a config run one after the other on made images, each taking up what the one before wrote."""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from agssp_mm.datasets.synthetic import make_image
from agssp_mm.engine.launch import class_counts_explained
from agssp_mm.images import list_images
from agssp_mm.maps.generate import generate_maps
from agssp_mm.teachers.texture import TextureTeacher

ROOT = Path(__file__).parents[2]
CLASSES = ('crazing', 'inclusion', 'patches', 'pitted_surface', 'rolled-in_scale', 'scratches')
SHORT = {'train_dataloader.batch_size': 4, 'train_dataloader.num_workers': 0,
         'train_dataloader.persistent_workers': False, 'default_hooks.logger.interval': 1}
PIPELINE = 'train_dataloader.dataset.pipeline'
SMALL = {f'{PIPELINE}.2.scale': (64, 64)}
SMALL_CROP = {**SMALL, f'{PIPELINE}.3.crop_size': (64, 64)}


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with twelve made 64-pixel images in the layout of neu_det, and their anomaly maps."""
    from PIL import Image
    data = tmp_path / 'data' / 'neu_det'
    (data / 'images' / 'train').mkdir(parents=True)
    (data / 'annotations').mkdir()
    images, annotations = [], []
    for number in range(12):
        made = make_image(seed=number, size=64)
        Image.fromarray(made.image).save(data / 'images' / 'train' / f'{number}.png')
        images.append(dict(id=number, file_name=f'{number}.png', width=64, height=64))
        annotations.append(dict(id=number + 1, image_id=number, category_id=1 + number % 6, iscrowd=0,
                                bbox=[8, 8, 24, 24], area=576))
    coco = dict(images=images, annotations=annotations,
                categories=[dict(id=number + 1, name=name) for number, name in enumerate(CLASSES)])
    for name in ('train_10pct', 'val'):
        (data / 'annotations' / f'{name}.json').write_text(json.dumps(coco))
    (data / 'images' / 'val').symlink_to('train')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('AGSSP_DATA_ROOT', str(tmp_path / 'data'))
    generate_maps(list_images(data / 'images' / 'train'), TextureTeacher(), 'work_dirs/maps/neu_det')
    return tmp_path


def run_stage(name, stage, options):
    config = Config.fromfile(str(ROOT / 'configs' / 'agssp' / name / f'{name}_{stage}.py'))
    config.merge_from_dict({**SHORT, 'train_cfg.max_epochs': 1, **options})
    config.work_dir = f'work_dirs/{name}_{stage}'
    config.experiment_name = f'{name}_{stage}_{time.time_ns()}'
    runner = Runner.from_cfg(config)
    runner.train()
    return runner


def load(path):
    return torch.load(path, weights_only=True)['state_dict']


@pytest.mark.parametrize('name, offline', [
    ('retinanet_efficientnet-lite0', {}),
    pytest.param('faster-rcnn_r50', {'model.backbone.init_cfg': None}, marks=pytest.mark.slow),
    pytest.param('rtmdet_tiny', {'model.backbone.init_cfg': None}, marks=pytest.mark.slow),
    pytest.param('yolox_s', {}, marks=pytest.mark.slow),
    pytest.param('atss_efficientnet-lite0', {}, marks=pytest.mark.slow),
])
def test_the_three_stages_hand_over(workplace, name, offline):
    agbp = run_stage(name, 'agbp', {
        **offline, **SMALL_CROP, 'train_dataloader.dataset.held_out': 4, 'val_dataloader.dataset.held_out': 4,
        'val_dataloader.num_workers': 0, 'train_cfg.val_interval': 1})
    assert agbp.iter == 2
    backbone = load(f'work_dirs/{name}_agbp/backbone.pth')
    assert backbone and all(key.startswith('backbone.') for key in backbone)

    run_stage(name, 'agdp_paper', SMALL_CROP)
    frozen = load(f'work_dirs/{name}_agdp_paper/detector.pth')
    for key, value in backbone.items():  # weights and running statistics are what stage 1 wrote, bit for bit
        assert torch.equal(frozen[key], value), key

    agdp = run_stage(name, 'agdp', SMALL_CROP)
    assert agdp.iter == 3
    detector = load(f'work_dirs/{name}_agdp/detector.pth')
    kept = {key for key, value in backbone.items() if torch.equal(detector[key], value)}
    assert {key for key in backbone if 'running_' in key} <= kept < set(backbone)

    start = Config.fromfile(str(ROOT / 'configs' / 'agssp' / name / f'{name}_finetune.py'))
    start.merge_from_dict({**SHORT, 'train_cfg.max_epochs': 1, 'val_dataloader': None, 'val_evaluator': None,
                           'val_cfg': None})
    start.work_dir, start.experiment_name = f'work_dirs/{name}_finetune', f'{name}_{time.time_ns()}'
    runner = Runner.from_cfg(start)
    runner.call_hook('before_run')
    runner.load_or_resume()
    fresh = {key: value for key, value in runner.model.state_dict().items() if not key.startswith('data_preprocessor')}
    reset = {key for key, value in fresh.items() if not torch.equal(value, detector.get(key, value.new_empty(0)))}
    assert reset and all(fresh[key].shape[1:] == detector[key].shape[1:] for key in reset)
    assert all(fresh[key].shape[0] in (6 * detector[key].shape[0], 7, 6) for key in reset), reset
    # the crop stays larger than the images, so that their sides are what RandomResize draws: any number
    run_stage(name, 'finetune', {**SMALL, 'val_dataloader.num_workers': 0, 'val_dataloader.persistent_workers': False,
                                 'train_cfg.val_interval': 1})


def regroup(data):
    """Give every image another name and folder, so that their order by name is turned round."""
    for number, path in enumerate(sorted((data / 'images' / 'train').iterdir(), reverse=True)):
        target = data / 'renamed' / f'class{number % 3}' / f'{number:02d}.png'
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())


@pytest.mark.parametrize('stage', ['agbp', 'agdp'])
def test_names_and_folders_never_reach_the_losses(workplace, stage):
    regroup(workplace / 'data' / 'neu_det')
    generate_maps(list_images(workplace / 'data' / 'neu_det' / 'renamed'), TextureTeacher(), 'work_dirs/maps/renamed')
    options = {**SMALL_CROP, **({'load_from': None} if stage == 'agdp' else {
        'train_dataloader.dataset.held_out': 4, 'val_cfg': None, 'val_dataloader': None, 'val_evaluator': None})}
    renamed = {**options, 'train_dataloader.dataset.images': 'images/../renamed',
               'train_dataloader.dataset.store': 'work_dirs/maps/renamed'}
    if stage == 'agbp':
        renamed.update({f'{PIPELINE}.1.store': 'work_dirs/maps/renamed', f'{PIPELINE}.1.image_root': str(
            workplace / 'data' / 'neu_det' / 'renamed')})
    losses = [[float(value) for value in run_stage('retinanet_efficientnet-lite0', stage, changes)
               .message_hub.get_scalar('train/loss').data[0]] for changes in (options, renamed)]
    assert len(losses[0]) >= 2 and losses[0] == losses[1]


def test_a_class_count_that_does_not_fit_stops_before_training(workplace):
    with pytest.raises(ValueError, match=r'`num_classes` \(6\) in RetinaHead .* length of `classes` 1\).*; set'), \
            class_counts_explained():
        run_stage('retinanet_efficientnet-lite0', 'agdp', {
            **SMALL_CROP, 'load_from': None, 'model.bbox_head.num_classes': 6})


def test_classification_form_takes_sources_as_classes(workplace, caplog):
    options = {**SMALL_CROP, 'train_dataloader.dataset.held_out': 4}
    runner = run_stage('retinanet_efficientnet-lite0', 'cls_agbp', options)
    assert runner.model.head.loss_module.loss_weight == 0.0  # one source: nothing to tell apart
    with pytest.raises(ValueError, match='num_classes=3, but the map store has 1 sources'):
        run_stage('retinanet_efficientnet-lite0', 'cls_agbp', {**options, 'model.head.num_classes': 3})


@pytest.mark.slow
@pytest.mark.parametrize('stage', ['agbp', 'agdp'])
def test_a_killed_stage_resumes_to_the_same_number_of_iterations(workplace, stage):
    name = 'retinanet_efficientnet-lite0'
    config = ROOT / 'configs' / 'agssp' / name / f'{name}_{stage}.py'
    options = [f'{key}={value}' for key, value in {
        **SHORT, 'train_cfg.max_epochs': 4, f'{PIPELINE}.2.scale': '(64,64)',
        f'{PIPELINE}.3.crop_size': '(64,64)'}.items()]
    if stage == 'agbp':
        options += ['train_dataloader.dataset.held_out=4', 'val_dataloader=None', 'val_evaluator=None', 'val_cfg=None']
    else:
        options += ['load_from=None']
    command = [sys.executable, str(ROOT / 'tools' / 'train.py'), str(config), '--resume', '--cfg-options', *options]
    work_dir = workplace / 'work_dirs' / f'{name}_{stage}'
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (work_dir / 'epoch_2.pth').is_file() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (work_dir / 'epoch_4.pth').exists()
    output = subprocess.run(command, check=True, capture_output=True, text=True)
    assert 'resumed epoch' in output.stdout + output.stderr
    iterations = torch.load(work_dir / 'epoch_4.pth', weights_only=False)['meta']['iter']
    assert iterations == 4 * (2 if stage == 'agbp' else 3)
    assert (work_dir / ('backbone.pth' if stage == 'agbp' else 'detector.pth')).is_file()
