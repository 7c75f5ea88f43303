"""One call from unlabelled images to checkpoints that the detector's own config loads."""
import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from agssp_mm import api
from agssp_mm.cli import main
from agssp_mm.recipes import image_sizes

DETECTOR = 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    for seed in range(8):
        image = np.random.default_rng(seed).integers(90, 110, (64, 64), dtype=np.uint8)
        image[8 + 4 * seed:20 + 4 * seed, 16:40] = 220
        cv2.imwrite(str(folder / f'{seed}.png'), image)
    return folder


@pytest.mark.slow
def test_images_and_a_detector_become_configs_and_checkpoints(images, tmp_path, capsys):
    out = tmp_path / 'run'
    arguments = ['pretrain', '--images', str(images), '--detector', DETECTOR, '--out', str(out), '--start', 'none',
                 '--agbp-epochs', '1', '--agdp-epochs', '1', '--batch-size', '4', '--image-size', '64',
                 '--workers', '0', '--freeze-backbone', '--no-pasting']
    assert main(arguments) == 0
    assert f'detector: {out / "detector.pth"}' in capsys.readouterr().out
    assert {path.name for path in out.glob('*.py')} == {'maps.py', 'agbp.py', 'agdp.py', 'finetune.py'}
    assert Config.fromfile(out / 'agdp.py').model.bbox_head.num_classes == 1
    assert 'PasteDefects' not in (out / 'agdp.py').read_text()
    backbone, detector = (torch.load(out / f'{name}.pth', weights_only=True)['state_dict']
                          for name in ('backbone', 'detector'))
    assert set(backbone) == {name for name in detector if name.startswith('backbone.')}
    # frozen, as the paper does it
    assert all(torch.equal(backbone[name], detector[name]) for name in backbone)
    assert any(name.startswith('bbox_head.') for name in detector)

    written = {path: path.stat().st_mtime_ns for path in out.glob('*.pth')}
    assert main(arguments) == 0
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert main([*arguments, '--seed', '1']) == 2
    assert str(out) in capsys.readouterr().err


@pytest.mark.parametrize('detector', ['nowhere.py', 'mmdet::retinanet/nowhere.py'])
def test_a_config_that_does_not_exist_stops_before_anything_is_written(images, tmp_path, capsys, detector):
    assert main(['pretrain', '--images', str(images), '--detector', detector, '--out', str(tmp_path / 'run')]) == 2
    assert 'nowhere.py' in capsys.readouterr().err
    assert not (tmp_path / 'run').exists()


@pytest.fixture
def configs_only(images, tmp_path, monkeypatch):
    """Have ``agssp pretrain`` write its configs, as it does, and make no maps and train nothing."""
    for name in ('_make_maps', 'train_stages', 'try_to_write_run_page'):
        monkeypatch.setattr(api, name, lambda *args: None)

    def run(*more, out='run', image_size=64):
        return main(['pretrain', '--images', str(images), '--detector', DETECTOR, '--out', str(tmp_path / out),
                     '--start', 'none', *(['--image-size', str(image_size)] if image_size else []), *more])
    return run


def test_small_folders_are_passed_over_more_often_and_it_is_said(configs_only, tmp_path, capsys):
    assert configs_only(out='chosen') == 0 and configs_only('--agdp-epochs', '3', '--agbp-epochs', '0', out='told') == 0
    assert 'passes over 8 images: 15 in AGBP (--agbp-epochs), 18 in AGDP (--agdp-epochs)' in capsys.readouterr().out
    lengths = [Config.fromfile(tmp_path / name).train_cfg.max_epochs for name in
               ('chosen/agbp.py', 'chosen/agdp.py', 'told/agdp.py')]
    assert lengths == [15, 18, 3] and not (tmp_path / 'told' / 'agbp.py').exists()


def test_the_image_size_is_said_at_the_start(images, configs_only, capsys):
    assert configs_only() == 0
    assert 'image size: 64 pixels\n' in capsys.readouterr().out
    for path in images.iterdir():
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), (1000, 900)))
    assert configs_only(image_size=None, out='chosen') == 0
    assert 'image size: 800 pixels, chosen by the images' in capsys.readouterr().out


def test_the_help_tells_the_bounds_of_the_image_size(capsys):
    with pytest.raises(SystemExit):
        main(['pretrain', '--help'])
    told = ' '.join(capsys.readouterr().out.split())
    assert f'sides, within {image_sizes._LEAST} and {image_sizes._LARGEST})' in told


def test_stage_two_boxes_the_maps_by_the_rule_that_was_chosen(configs_only, tmp_path):
    assert configs_only('--rule', 'paper', '--rule-options', 'offset=0.6') == 0
    rule = Config.fromfile(tmp_path / 'run' / 'agdp.py').train_dataloader.dataset.rule
    assert rule == dict(type='PaperBoxRule', offset=0.6)
    assert configs_only(out='usual') == 0
    rule = Config.fromfile(tmp_path / 'usual' / 'agdp.py').train_dataloader.dataset.rule
    assert rule == dict(type='ComponentTreeBoxRule')


@pytest.mark.parametrize('arguments, message', [
    (['--rule', 'magic'], "unknown box rule 'magic'; there are: component-tree, paper"),
    (['--rule-options', 'offest=1'], "box rule 'component-tree' refuses the settings {'offest': 1}"),
])
def test_a_wrong_rule_stops_before_anything_is_written(configs_only, tmp_path, capsys, arguments, message):
    assert configs_only(*arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'run').exists()
