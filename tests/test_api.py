"""The whole pretraining in one call, on a small real detector and made images."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModule
from mmengine.registry import MODELS, TASK_UTILS

import agssp_mm
from agssp_mm.datasets.synthetic import make_dataset
from agssp_mm.datasets.transforms.load_industrial_image import LoadIndustrialImage
from agssp_mm.images import list_images
from agssp_mm.maps.box_cache import load_or_make_boxes
from agssp_mm.maps.coco import read_pseudo_boxes
from agssp_mm.maps.generate import generate_maps
from agssp_mm.maps.store import MapStore
from agssp_mm.recipes import running, write_config
from agssp_mm.recipes.building import build
from agssp_mm.recipes.small_boxes import small_box_note
from agssp_mm.teachers.base import AnomalyMaps, Teacher
from agssp_mm.teachers.texture import TextureTeacher
from mmengine.hub import get_config

SMALL = dict(image_size=64, batch_size=4, workers=0, agbp_epochs=1, agdp_epochs=1, downloads=False)


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    """Six made images of 64 x 64 with defects, the last two labelled for validation."""
    return make_dataset(tmp_path_factory.mktemp('made'), num_images=6, size=64, seed=3, clean_share=0.0, num_val=2)


@pytest.fixture
def detector(tmp_path):
    """A user's own config: RetinaNet on a ResNet-18 of a sixteenth of the width."""
    config = get_config('mmdet::retinanet/retinanet_r18_fpn_1x_coco.py')
    config.model.backbone.update(base_channels=4, init_cfg=None)
    config.model.neck.in_channels = [4, 8, 16, 32]
    write_config(config, tmp_path / 'mine.py', [])
    return tmp_path / 'mine.py'


def tensors(path):
    return torch.load(path, weights_only=True)['state_dict']


def test_images_and_a_config_become_checkpoints(images, detector, tmp_path):
    out, start = tmp_path / 'out', tmp_path / 'start.pth'
    model = build(Config.fromfile(detector).model.to_dict(), 'mmdet').state_dict()
    torch.save(dict(state_dict=model), start)
    result = agssp_mm.pretrain(images / 'images', detector, out, start=str(start), **SMALL)
    assert sorted(path.name for path in out.iterdir()) == [
        'agbp', 'agbp.py', 'agdp', 'agdp.py', 'backbone.pth', 'detector.pth', 'finetune.py', 'maps', 'maps.py',
        'pretrain.json', 'report.html']
    assert sorted(path.name for path in result.configs) == ['agbp.py', 'agdp.py', 'finetune.py', 'maps.py']
    assert len(MapStore.open(result.store).index) == 6
    # ordinary checkpoints, whose names are those of the user's detector
    exported, backbone = tensors(result.detector), tensors(result.backbone)
    assert set(exported) == set(model)
    assert set(backbone) == {name for name in model if name.startswith('backbone.')}
    # stage 2 started from the backbone of stage 1 and kept its statistics
    kept = {name for name, value in backbone.items() if torch.equal(exported[name], value)}
    assert {name for name in backbone if 'running_' in name} <= kept < set(backbone)
    assert all(torch.allclose(exported[name], value, atol=0.1) for name, value in backbone.items())
    assert exported['bbox_head.retina_cls.weight'].shape[0] == 9
    # each stage logs below a folder of its own
    for stage in ('agbp', 'agdp'):
        log = next((out / stage).glob('*/*.log')).read_text()
        assert ('loss_anomaly_s2' in log) == (stage == 'agbp')
        assert (out / stage / 'epoch_1.pth').is_file()
        scalars = next((out / stage).glob('*/vis_data/scalars.json')).read_text()
        assert ('loss_bbox' in scalars) == (stage == 'agdp')


def test_a_finished_run_is_not_run_again_and_an_interrupted_one_goes_on(images, detector, tmp_path, monkeypatch,
                                                                        capsys):
    out = tmp_path / 'out'
    trained = []
    real = running.train_config
    monkeypatch.setattr(running, 'train_config', lambda path: (trained.append(path.stem), real(path)))
    agssp_mm.pretrain(images / 'images', detector, out, **SMALL)
    before = {name: (out / name).read_bytes() for name in ('backbone.pth', 'detector.pth')}
    capsys.readouterr()
    # a folder's name with a slash at its end is the same folder; what the configs say otherwise is told
    agssp_mm.pretrain(f'{images}/images/', detector, out, finetune_epochs=7, **dict(SMALL, workers=1))
    assert trained == ['agbp', 'agdp']
    assert [line.split(' is there')[0].rsplit('/', 1)[-1] for line in capsys.readouterr().out.splitlines()
            if 'stays as it is' in line] == ['agbp.py', 'agdp.py', 'finetune.py', 'finetune.py']
    # as after a kill in stage 2; the config was edited meanwhile
    (out / 'detector.pth').unlink()
    text = (out / 'agdp.py').read_text()
    (out / 'agdp.py').write_text(text + "\nlog_level = 'WARNING'\n")
    agssp_mm.pretrain(images / 'images', detector, out, **SMALL)
    assert trained == ['agbp', 'agdp', 'agdp']
    assert (out / 'agdp.py').read_text().endswith("log_level = 'WARNING'\n")
    assert (out / 'backbone.pth').read_bytes() == before['backbone.pth']
    again = tensors(out / 'detector.pth')
    (tmp_path / 'first.pth').write_bytes(before['detector.pth'])
    assert all(torch.equal(again[name], value) for name, value in tensors(tmp_path / 'first.pth').items())
    # the backbone alone is gone: its finished training exports it again, and what came of it stays
    (out / 'backbone.pth').unlink()
    agssp_mm.pretrain(images / 'images', detector, out, **SMALL)
    assert trained == ['agbp', 'agdp', 'agdp', 'agbp'] and not list(out.glob('*.pth.old'))
    assert (out / 'backbone.pth').is_file()
    # labels come later: only the last config is written again
    annotations = images / 'annotations' / 'train.json'
    agssp_mm.pretrain(images / 'images', detector, out, annotations=annotations,
                      val_annotations=images / 'annotations' / 'val.json', **SMALL)
    finetune = Config.fromfile(out / 'finetune.py')
    classes = [one['name'] for one in json.loads(annotations.read_text())['categories']]
    assert list(finetune.train_dataloader.dataset.metainfo.classes) == classes
    assert finetune.model.bbox_head.num_classes == len(classes)
    assert finetune.train_dataloader.dataset.ann_file == str(annotations)
    assert finetune.val_dataloader.dataset.data_prefix.img == str(images / 'images')
    assert 'measured on the very images' not in capsys.readouterr().out
    assert trained == ['agbp', 'agdp', 'agdp', 'agbp']
    # the same labels again: what was edited stays; others: it is kept beside the new one
    (out / 'finetune.py').write_text((out / 'finetune.py').read_text() + "\nlog_level = 'WARNING'\n")
    agssp_mm.pretrain(images / 'images', detector, out, annotations=annotations,
                      val_annotations=images / 'annotations' / 'val.json', **SMALL)
    assert Config.fromfile(out / 'finetune.py').log_level == 'WARNING'
    assert 'WARNING' not in (out / 'finetune.py.old').read_text()
    agssp_mm.pretrain(images / 'images', detector, out, annotations=annotations, finetune_epochs=7, **SMALL)
    assert Config.fromfile(out / 'finetune.py').train_cfg.max_epochs == 7
    assert Config.fromfile(out / 'finetune.py').val_dataloader.dataset.ann_file == str(annotations)
    printed = capsys.readouterr().out
    assert 'note: the fine-tuning is measured on the very images that it trains on' in printed
    assert f'note: {small_box_note(annotations, 64)}' in printed
    assert all('labelled boxes' not in (out / f'{stage}.py').read_text() for stage in ('agbp', 'agdp'))
    assert (out / 'finetune.py.old2').read_text().endswith("log_level = 'WARNING'\n"), 'an older one is kept too'


def test_a_second_round_learns_the_boxes_that_the_first_finds(images, detector, tmp_path, monkeypatch, capsys):
    out, trained = tmp_path / 'out', []
    real = running.train_config
    monkeypatch.setattr(running, 'train_config', lambda path: (trained.append(path.stem), real(path)))
    settings = dict(SMALL, agdp_rounds=2, freeze_backbone=True)
    result = agssp_mm.pretrain(images / 'images', detector, out, **settings)
    assert trained == ['agbp', 'agdp', 'agdp_round2']
    assert sorted(path.name for path in result.configs) == ['agbp.py', 'agdp.py', 'agdp_round2.py', 'finetune.py',
                                                            'maps.py']
    # as many boxes as the rule found, by the first round's detector; the second round is trained on these
    first = Config.fromfile(out / 'agdp.py').train_dataloader.dataset
    by_rule = load_or_make_boxes(MapStore.open(out / 'maps'), TASK_UTILS.build(first.rule))
    boxes = read_pseudo_boxes(out / 'boxes_round2.json')
    assert sum(len(each.boxes) for each in boxes.values()) == sum(len(each.boxes) for each in by_rule.values()) > 0
    second = Config.fromfile(out / 'agdp_round2.py')
    assert second.train_dataloader.dataset.boxes == str(out / 'boxes_round2.json')
    assert second.train_dataloader.dataset.get('rule') is None
    assert second.load_from == str(out / 'backbone.pth')
    last, earlier = tensors(result.detector), tensors(out / 'agdp' / 'detector.pth')
    assert all(torch.equal(last[name], value) for name, value in tensors(result.backbone).items())  # frozen
    assert any(not torch.equal(last[name], earlier[name]) for name in last)
    assert all(torch.equal(value, tensors(out / 'agdp_round2' / 'detector.pth')[name]) for name, value in last.items())
    # interrupted in the second round: it alone is trained again, on the boxes that are there
    before = (out / 'boxes_round2.json').stat().st_mtime_ns
    (out / 'detector.pth').unlink()
    agssp_mm.pretrain(images / 'images', detector, out, **settings)
    assert trained == ['agbp', 'agdp', 'agdp_round2', 'agdp_round2']
    assert (out / 'boxes_round2.json').stat().st_mtime_ns == before
    assert all(torch.equal(tensors(out / 'detector.pth')[name], value) for name, value in last.items())
    assert '3 of 4, agdp: done before' in capsys.readouterr().out
    # the first round is changed and trained anew: what the second one had of it is not taken up again
    for path in (out / 'agdp', out / 'detector.pth'):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (out / 'agdp.py').write_text((out / 'agdp.py').read_text() + "\noptim_wrapper['optimizer']['lr'] = 1e-5\n")
    agssp_mm.pretrain(images / 'images', detector, out, **settings)
    assert trained[4:] == ['agdp', 'agdp_round2']
    assert (out / 'boxes_round2.json').read_bytes() != (out / 'boxes_round2.json.old').read_bytes()
    assert any(not torch.equal(tensors(out / 'detector.pth')[name], value) for name, value in last.items())
    assert all(torch.equal(tensors(out / 'agdp_round2.old' / 'detector.pth')[name], last[name]) for name in last)
    assert ('agdp is trained anew: boxes_round2.json, agdp_round2, made with the one before, kept as *.old'
            in capsys.readouterr().out)


def test_a_run_without_stage_one(images, detector, tmp_path, monkeypatch, capsys):
    config = Config.fromfile(detector)
    start = tmp_path / 'resnet.pth'
    torch.save(build(config.model.backbone.to_dict(), 'mmdet').state_dict(), start)
    config.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(start))
    write_config(config, detector, [])
    out, trained = tmp_path / 'out', []
    real = running.train_config
    monkeypatch.setattr(running, 'train_config', lambda path: (trained.append(path.stem), real(path)))
    settings = dict(SMALL, agbp_epochs=0, agdp_rounds=2)
    result = agssp_mm.pretrain(images / 'images', detector, out, **settings)
    assert trained == ['agdp', 'agdp_round2']
    assert sorted(path.name for path in result.configs) == ['agdp.py', 'agdp_round2.py', 'finetune.py', 'maps.py']
    assert Config.fromfile(out / 'agdp_round2.py').train_dataloader.dataset.boxes == str(out / 'boxes_round2.json')
    # it started from the weights of the config, whose statistics it kept; the backbone is that of the last detector
    first, last = torch.load(start, weights_only=True), tensors(result.detector)
    kept = {name for name, value in first.items() if torch.equal(last[f'backbone.{name}'], value)}
    assert {name for name in first if 'running_' in name} <= kept < set(first)
    assert all(torch.allclose(last[f'backbone.{name}'], value, atol=0.1) for name, value in first.items())
    backbone = tensors(result.backbone)
    assert set(backbone) == {name for name in last if name.startswith('backbone.')}
    assert all(torch.equal(last[name], value) for name, value in backbone.items())
    # a page without a stage that was not wanted
    assert 'agbp.py' not in result.page.read_text()
    # killed before the backbone was written out: nothing is trained again
    before = result.backbone.read_bytes()
    result.backbone.unlink()
    agssp_mm.pretrain(images / 'images', detector, out, **settings)
    assert trained == ['agdp', 'agdp_round2']
    assert result.backbone.read_bytes() == before
    assert '2 of 3, agdp: done before' in capsys.readouterr().out
    # the last round trained anew: the backbone is that of the new detector
    (out / 'agdp_round2.py').write_text((out / 'agdp_round2.py').read_text()
                                        + "\noptim_wrapper['optimizer']['lr'] = 1e-5\n")
    shutil.rmtree(out / 'agdp_round2')
    result.detector.unlink()
    agssp_mm.pretrain(images / 'images', detector, out, **settings)
    new = tensors(result.detector)
    assert any(not torch.equal(new[name], value) for name, value in backbone.items())
    assert all(torch.equal(new[name], value) for name, value in tensors(result.backbone).items())


def test_maps_are_made_as_their_config_says(images, detector, tmp_path, capsys):
    out = tmp_path / 'out'
    config = Config.fromfile(detector)
    config.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='torchvision://resnet18')
    write_config(config, detector, [])
    agssp_mm.pretrain(images / 'images', detector, out, **SMALL)
    said = capsys.readouterr().out
    assert [line.split(',')[0] for line in said.splitlines() if ' of 3, ' in line] == ['1 of 3', '2 of 3', '3 of 3']
    # what was changed in the detector is said, here and in the configs
    note = '1 initial weights left out, because they cannot be reached here: torchvision://resnet18'
    assert f'note: {note}' in said
    assert 'note: the backbone starts from random numbers' in said
    assert (out / 'agbp.py').read_text().splitlines()[1] == f'# {note}'
    shutil.rmtree(out / 'maps')
    text = (out / 'maps.py').read_text()
    (out / 'maps.py').write_text(text.replace("dict(type='TextureTeacher')", "dict(type='_CornerTeacher')"))
    agssp_mm.pretrain(images / 'images', detector, out, **SMALL)
    assert MapStore.open(out / 'maps').meta['teacher']['type'] == '_CornerTeacher'
    assert f'2 of 3, agbp: done before, {out / "backbone.pth"} is there' in capsys.readouterr().out


def test_initial_weights_of_the_config_from_torchs_folder(images, detector, tmp_path, monkeypatch):
    """The way downloaded weights go, with a file that lies where the download would put it."""
    from mmengine.runner.checkpoint import get_torchvision_models
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    config = Config.fromfile(detector)
    weights = build(config.model.backbone.to_dict(), 'mmdet').state_dict()
    for value in weights.values():
        value.fill_(0.01 if value.is_floating_point() else 0)
    name = get_torchvision_models()['resnet18'].rsplit('/', 1)[-1]
    (tmp_path / 'hub' / 'checkpoints').mkdir(parents=True)
    torch.save(weights, tmp_path / 'hub' / 'checkpoints' / name)
    config.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='torchvision://resnet18')
    write_config(config, detector, [])
    result = agssp_mm.pretrain(images / 'images', detector, tmp_path / 'out', **SMALL)
    backbone = tensors(result.backbone)
    assert (backbone['backbone.conv1.weight'] == 0.01).all()  # the stem rests
    assert (backbone['backbone.layer4.0.conv1.weight'] != 0.01).any()


@TASK_UTILS.register_module()
class _CornerTeacher(Teacher):
    """Sees an anomaly in the top left quarter of every image."""

    version = 1
    calibration_scale = 1.0

    @property
    def settings(self):
        return {}

    def predict(self, images):
        maps = [image[::4, ::4, 0].astype('float32') * 0 for image in images]
        for one in maps:
            one[:6, :6] = 1.0
        return AnomalyMaps(maps, torch.ones(len(images)).numpy())


@pytest.mark.slow
def test_deep_images_are_read_with_the_range_of_the_maps(images, detector, tmp_path, monkeypatch):
    """Twelve-bit images through stage 2, the boxes of another round and the page."""
    for path in (images / 'images').iterdir():
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        (tmp_path / 'deep').mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / 'deep' / path.with_suffix('.png').name), grey.astype('uint16') * 8)
    seen = []
    real = LoadIndustrialImage.transform
    monkeypatch.setattr(LoadIndustrialImage, 'transform',
                        lambda self, results: (seen.append(results['img_path']), real(self, results))[1])
    monkeypatch.setattr('mmcv.transforms.LoadImageFromFile.transform', None)  # would read nearly black images
    out = tmp_path / 'out'
    settings = dict(SMALL, value_percentiles=(1, 99), agbp_epochs=0, agdp_rounds=2)
    agssp_mm.pretrain(tmp_path / 'deep', detector, out, **settings)
    rounds = [Config.fromfile(out / f'{name}.py') for name in ('agdp', 'agdp_round2', 'finetune')]
    assert {one.train_dataloader.dataset.pipeline[0].type for one in rounds} == {'LoadIndustrialImage'}
    assert len(set(seen)) == 6 < len(seen)  # all for the boxes of the second round, and in the trainings
    again = dict(SMALL, agbp_epochs=0, maps=out / 'maps')
    with pytest.raises(ValueError, match='the maps in .* were made with'):
        agssp_mm.pretrain(tmp_path / 'deep', detector, tmp_path / 'other', value_range=(0, 9), **again)
    assert not (tmp_path / 'other').exists()


def test_another_teacher_and_finished_maps(images, detector, tmp_path):
    first = agssp_mm.pretrain(images / 'images', detector, tmp_path / 'a', teacher='_CornerTeacher', **SMALL)
    assert MapStore.open(first.store).meta['teacher']['type'] == '_CornerTeacher'
    second = agssp_mm.pretrain(images / 'images', detector, tmp_path / 'b', maps=first.store, **SMALL)
    assert second.store == first.store
    assert not (tmp_path / 'b' / 'maps').exists()
    again = agssp_mm.pretrain(images / 'images', detector, tmp_path / 'b', maps=first.store, **SMALL)
    assert again.detector.stat().st_mtime_ns == second.detector.stat().st_mtime_ns
    made = make_dataset(tmp_path / 'other', num_images=2, size=64, seed=4)
    (made / 'images').rename(made / 'parts')
    with pytest.raises(ValueError, match='maps: [0-9]+ of [0-9]+ images have no map in .*it names its images like'):
        agssp_mm.pretrain(made, detector, tmp_path / 'c', maps=first.store, **SMALL)
    assert not (tmp_path / 'c').exists()
    shutil.copytree(first.store, tmp_path / 'kept')
    shutil.rmtree(first.store)
    generate_maps(list_images(images / 'images'), TextureTeacher(), first.store)
    with pytest.raises(ValueError, match='is the folder of another run .maps was'):  # made of other maps
        agssp_mm.pretrain(images / 'images', detector, tmp_path / 'b', maps=first.store, **SMALL)
    shutil.rmtree(first.store)
    shutil.copytree(tmp_path / 'kept', first.store)
    assert all(torch.equal(value, tensors(second.backbone)[name]) for name, value in tensors(first.backbone).items())


def test_a_rule_that_finds_nothing_stops_the_run_before_it_trains(images, detector, tmp_path, monkeypatch, capsys):
    out, trained = tmp_path / 'out', []
    monkeypatch.setattr(running, 'train_config', lambda path: trained.append(path.stem))
    settings = dict(SMALL, rule=dict(type='ComponentTreeBoxRule', threshold=1e6))
    with pytest.raises(ValueError, match='finds no pseudo box in any of 6 images; lower its threshold in .*agdp.py'):
        agssp_mm.pretrain(images / 'images', detector, out, **settings)
    # lowered there, as the message says, the same call goes on
    text = (out / 'agdp.py').read_text()
    (out / 'agdp.py').write_text(text.replace('1000000.0', '0.15'))
    with pytest.raises(FileNotFoundError):  # nothing was trained, so there is nothing to take up
        agssp_mm.pretrain(images / 'images', detector, out, **settings)
    assert trained == ['agbp']
    assert re.search(r'^[1-9][0-9]* pseudo boxes$', capsys.readouterr().out, re.MULTILINE)


def test_starting_from_a_checkpoint(images, detector, tmp_path):
    model = build(Config.fromfile(detector).model.to_dict(), 'mmdet')
    for parameter in model.parameters():
        parameter.data.fill_(0.01)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'coco.pth')
    result = agssp_mm.pretrain(images / 'images', detector, tmp_path / 'out', start=str(tmp_path / 'coco.pth'), **SMALL)
    # the stem was kept as it was, layer 4 learned, and the neck started from the file
    exported = tensors(result.detector)
    assert (exported['backbone.conv1.weight'] == 0.01).all()
    assert (exported['backbone.layer4.0.conv1.weight'] != 0.01).any()
    assert (exported['neck.fpn_convs.0.conv.weight'] - 0.01).abs().max() < 0.02


@pytest.mark.slow
def test_a_checkpoint_of_which_little_fits_is_taken_when_allowed(images, detector, tmp_path):
    model = build(Config.fromfile(detector).model.to_dict(), 'mmdet')
    name = 'backbone.conv1.weight'
    state = {key if key == name else f'backbone.old.{key}': torch.full_like(value, 0.01)
             for key, value in model.state_dict().items() if key.startswith('backbone.')}
    torch.save(dict(state_dict=state), tmp_path / 'part.pth')
    settings = dict(SMALL, start=str(tmp_path / 'part.pth'))
    with pytest.raises(ValueError, match='another architecture'):
        agssp_mm.pretrain(images / 'images', detector, tmp_path / 'out', **settings)
    result = agssp_mm.pretrain(images / 'images', detector, tmp_path / 'out', allow_partial=True, **settings)
    assert (tensors(result.detector)[name] == 0.01).all()


def assert_refused(tmp_path, images, detector, message, kind=ValueError, out='out', **settings):
    before = contents(tmp_path)
    with pytest.raises(kind, match=message):
        agssp_mm.pretrain(images / 'images', detector, tmp_path / out, **{**SMALL, **settings})
    assert contents(tmp_path) == before  # nothing was written


def contents(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob('*')}


def test_bad_input_is_refused_before_anything_is_written(images, detector, tmp_path):
    torch.save(dict(state_dict={'backbone.layer9.weight': torch.ones(1)}), tmp_path / 'other.pth')
    labels, reordered = images / 'annotations' / 'train.json', tmp_path / 'reordered.json'
    content = json.loads(labels.read_text())
    astray = tmp_path / 'astray.json'
    astray.write_text(json.dumps(dict(content, images=[dict(id=1, file_name='gone.png')])))
    reordered.write_text(json.dumps(dict(content, categories=content['categories'][::-1])))
    (tmp_path / 'damaged').mkdir()
    first = images / 'images' / content['images'][0]['file_name']
    (tmp_path / 'damaged' / 'a.png').write_bytes(first.read_bytes()[:20])
    damaged = tmp_path / 'damaged.json'
    damaged.write_text(json.dumps(dict(content, images=[dict(content['images'][0], file_name='a.png')], annotations=[
        one for one in content['annotations'] if one['image_id'] == content['images'][0]['id']])))
    sizeless = tmp_path / 'sizeless.json'
    sizeless.write_text(json.dumps(dict(content, images=[dict(id=one['id'], file_name=one['file_name'])
                                                         for one in content['images']])))
    for settings, message in [
        (dict(start=str(tmp_path / 'other.pth')), 'made for another architecture than the ResNet of mine: 0%'),
        (dict(start='coco'), 'MMDetection publishes no checkpoint for mine'),
        (dict(teacher='NoTeacher'), 'teacher: .*NoTeacher.* cannot be built'),
        (dict(teacher=dict(type='TextureTeacher', depth=3)), 'teacher: .* cannot be built'),
        (dict(teacher='ComponentTreeBoxRule'), 'is no teacher'),
        (dict(rule=dict(type='NoRule')), 'box rule: .*NoRule.* cannot be built'),
        (dict(rule=dict(type='PaperBoxRule', depth=1)), 'box rule: .* cannot be built'),
        (dict(rule=dict(type='TextureTeacher')), 'is no box rule'),
        (dict(learning_rate=0.1), r"unknown settings \['learning_rate'\]; there are: agbp_epochs"),
        (dict(batch_size=0), 'batch_size must be at least 1'),
        (dict(image_size=16), 'image_size must be at least 32'),
        (dict(image_size=0), 'image_size must be at least 32'),
        (dict(device='cuda:99'), "device: 'cuda:99' cannot be used here"),
        (dict(val_annotations='val.json'), 'go with annotations'),
        (dict(annotations=labels, val_annotations=reordered), 'same order in both'),
        (dict(annotations=damaged, annotated_images=tmp_path / 'damaged'), '1 of 1 images of .* cannot be read'),
        (dict(annotations=labels, val_annotations=sizeless, annotated_images=images / 'images'),
         '4 of 4 images of .*sizeless.json have no "height"'),
    ]:
        assert_refused(tmp_path, images, detector, message, **settings)
    for settings, message in [
        (dict(start='gone.pth'), 'checkpoint gone.pth does not exist'),
        (dict(maps=tmp_path / 'nowhere'), 'no map store at'),
        (dict(annotations='gone.json'), 'annotations: gone.json does not exist'),
        (dict(annotations=labels, annotated_images=tmp_path), 'none of the 4 images of .*train.json exists below'),
        (dict(annotations=labels, val_annotations=astray), 'none of the 1 images of .*astray.json exists below'),
    ]:
        assert_refused(tmp_path, images, detector, message, FileNotFoundError, **settings)
    bare = tmp_path / 'bare.json'
    bare.write_text(json.dumps(dict(content, annotations=[dict(content['annotations'][0], segmentation=[])])))
    assert_refused(tmp_path, images, 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', 'have no segmentation',
                   annotations=bare, annotated_images=images / 'images')
    config = Config.fromfile(detector)
    config.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='gone/resnet.pth')
    write_config(config, tmp_path / 'lost.py', [])
    assert_refused(tmp_path, images, tmp_path / 'lost.py', 'lost starts from gone/resnet.pth', FileNotFoundError)
    assert_refused(tmp_path, images, tmp_path / 'gone.py', 'there is no config', FileNotFoundError)
    assert_refused(tmp_path, images / 'annotations' / 'gone', detector, 'images: .* does not exist', FileNotFoundError)


@pytest.mark.parametrize('changes, message', [
    (dict(model=None), 'not the config of a detector: it has no `model`'),
    (dict(model=dict(type='ImageClassifier', _scope_='mmpretrain', backbone=dict(type='ResNet', depth=18))),
     'not the config of a detector: its model is a ImageClassifier'),
    (dict(model=dict(type='RetinaNet', bbox_head=dict(type='RetinaHead'))), 'has no backbone'),
    (dict(model=dict(type='RetinaNet', backbone=dict(type='ResNett'))), "unknown type of the backbone.*'ResNett'"),
    (dict(model=dict(type='RetinaNet', backbone=dict(type='_FrozenBackbone'))), '_FrozenBackbone is frozen'),
    (dict(default_scope='mmpretrain', model=dict(type='mmdet.RetinaNet', backbone=dict(type='mmdet.ResNet', depth=18))),
     "default_scope='mmpretrain', where MMDetection's types.* are not found; give it default_scope='mmdet'"),
])
def test_configs_that_cannot_be_pretrained_are_refused(images, tmp_path, changes, message):
    write_config(Config({key: value for key, value in changes.items() if value}), tmp_path / 'bad.py', [])
    assert_refused(tmp_path, images, tmp_path / 'bad.py', message)


@MODELS.register_module()
class _FrozenBackbone(BaseModule):
    """Without a weight that learns."""

    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.conv = torch.nn.Conv2d(3, 4, 4, 4).requires_grad_(False)

    def forward(self, x):
        return (self.conv(x), )


def test_folders_of_others_are_refused(images, detector, tmp_path):
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'thesis.tex').touch()
    assert_refused(tmp_path, images, detector, 'holds files of something else', out='mine')
    agssp_mm.pretrain(images / 'images', detector, tmp_path / 'out', **SMALL)
    assert_refused(tmp_path, images, detector, r'the folder of another run \(agdp_epochs was 1, now 3\)', agdp_epochs=3)
    assert_refused(tmp_path, images, detector, 'holds this very run already', resume=False)


@pytest.mark.slow
@pytest.mark.parametrize('marker, finished, resumed', [
    ('maps/maps.json', [], None),
    ('agbp/epoch_1.pth', [], 'agbp'),
    ('agdp/epoch_1.pth', ['backbone.pth'], 'agdp'),
])
def test_a_killed_run_goes_on(images, detector, tmp_path, marker, finished, resumed):
    """The process is killed as soon as a file of a stage is there, at any moment thereafter."""
    out = tmp_path / 'out'
    settings = dict(SMALL, agbp_epochs=3, agdp_epochs=3)
    script = (f'import agssp_mm, torch\ntorch.set_num_threads(1)\nagssp_mm.pretrain({str(images / "images")!r}, '
              f'{str(detector)!r}, {str(out)!r}, **{settings!r})\n')
    command = [sys.executable, '-c', script]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (out / marker).exists() and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert [name for name in ('backbone.pth', 'detector.pth') if (out / name).exists()] == finished
    kept = {name: (out / name).read_bytes() for name in finished}
    subprocess.run(command, check=True, timeout=300)
    assert {name: (out / name).read_bytes() for name in finished} == kept
    assert len(MapStore.open(out / 'maps').index) == 6
    for stage in ('agbp', 'agdp'):
        logs = ''.join(path.read_text() for path in sorted((out / stage).glob('*/*.log')))
        assert ('Epoch(train) [3]' in logs), stage
        assert torch.load(out / stage / 'epoch_3.pth', weights_only=False)['meta']['epoch'] == 3
        # a checkpoint that was cut off is passed over: then the stage starts anew
        assert ('resumed epoch' in logs) <= (stage == resumed)
    assert set(tensors(out / 'detector.pth')) >= set(tensors(out / 'backbone.pth'))


@pytest.mark.slow
def test_two_processes(images, detector, tmp_path):
    script = (f'import agssp_mm, torch\ntorch.set_num_threads(1)\n'
              f'agssp_mm.pretrain({str(images / "images")!r}, {str(detector)!r}, {str(tmp_path / "out")!r}, '
              f'devices=2, **{SMALL!r})\n')
    subprocess.run([sys.executable, '-c', script], check=True, env=dict(os.environ, OMP_NUM_THREADS='1'), timeout=300)
    assert 'backbone.conv1.weight' in tensors(tmp_path / 'out' / 'detector.pth')


def test_memory_of_this_process_is_free_before_several_train(images, detector, tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr(running.torch.cuda, 'is_initialized', lambda: True)
    monkeypatch.setattr(running.torch.cuda, 'empty_cache', lambda: order.append('freed'))
    monkeypatch.setattr(running.subprocess, 'run', lambda *args, **kwargs: order.append('trained') or
                        subprocess.CompletedProcess(args, 3))
    with pytest.raises(RuntimeError, match='on 2 devices failed'):
        agssp_mm.pretrain(images / 'images', detector, tmp_path / 'out', devices=2, **SMALL)
    assert order == ['freed', 'trained']


def test_a_training_that_fails_on_several_devices_is_said(images, detector, tmp_path, monkeypatch):
    monkeypatch.setattr(running.subprocess, 'run', lambda *args, **kwargs: subprocess.CompletedProcess(args, 3))
    with pytest.raises(RuntimeError, match='on 2 devices failed with exit status 3; the same call goes on'):
        agssp_mm.pretrain(images / 'images', detector, tmp_path / 'out', devices=2, **SMALL)


def test_labelled_images_without_a_range_are_refused(images, detector, tmp_path):
    shutil.copytree(images / 'images', tmp_path / 'deep' / 'a')
    shutil.copytree(images / 'images', tmp_path / 'deep' / 'b')
    settings = dict(SMALL, sources=dict(a='a', b='b'), value_percentiles=(1, 99), annotated_images=images / 'images',
                    annotations=images / 'annotations' / 'train.json')
    with pytest.raises(ValueError, match='annotations: .* are not among the unlabelled ones'):
        agssp_mm.pretrain(tmp_path / 'deep', detector, tmp_path / 'out', **settings)
    assert not (tmp_path / 'out').exists()
