"""Which checkpoint a pretraining starts from; the published ones lie where a download would put them."""
import dataclasses
from urllib.parse import urlsplit

import pytest
import torch
from mmengine.config import Config
from mmengine.hub import get_config

from agssp_mm.recipes import read_detector
from agssp_mm.recipes.building import build
from agssp_mm.recipes.start_weights import resolve_start, start_notes

NAME = 'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py'


@pytest.fixture(scope='module')
def detector():
    return read_detector(NAME, downloads=False)


@pytest.fixture
def published(detector, tmp_path, monkeypatch):
    """Put a checkpoint into torch's folder under the name of the one published for the detector; gives its URL."""
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    url = get_config(NAME, pretrained=True).model_path
    (tmp_path / 'checkpoints').mkdir()

    def put(state):
        path = tmp_path / 'checkpoints' / urlsplit(url).path.split('/')[-1]
        torch.save(dict(state_dict=state, meta=dict(epoch=300)), path)
        return url
    return put


def test_the_checkpoint_published_for_a_config(detector, published):
    url = published(build(detector.model, 'mmdet').state_dict())
    assert resolve_start('coco', NAME, detector) == (url, False)


def test_a_published_checkpoint_that_does_not_fit(detector, published):
    published({'backbone.layer9.weight': torch.ones(1)})
    with pytest.raises(ValueError, match='made for another architecture than the CSPNeXt of rtmdet_tiny.*: 0%'):
        resolve_start('coco', NAME, detector)


def test_a_bare_backbone_and_names(detector, tmp_path):
    torch.save(build(detector.model['backbone'], 'mmdet').state_dict(), tmp_path / 'bare.pth')
    assert resolve_start(str(tmp_path / 'bare.pth'), NAME, detector) == (str(tmp_path / 'bare.pth'), True)
    assert resolve_start('imagenet', NAME, detector) == ('imagenet', False)
    assert resolve_start('none', NAME, detector) == ('none', False)


def test_initial_weights_of_the_whole_detector_are_a_file_to_start_from(detector, tmp_path):
    whole = tmp_path / 'whole.pth'
    torch.save(build(detector.model, 'mmdet').state_dict(), whole)
    model = dict(detector.model, init_cfg=dict(type='Pretrained', checkpoint=str(whole)))
    started = dataclasses.replace(detector, model=model)
    assert resolve_start('imagenet', NAME, started) == (str(whole), False)
    assert resolve_start('none', NAME, started) == ('none', False)
    model['init_cfg']['prefix'] = 'model.'
    assert resolve_start('imagenet', NAME, started) == ('imagenet', False)
    assert 'init_cfg of the detector as a whole is not used' in start_notes(started, 'imagenet')[0]


def test_how_much_of_a_file_has_to_fit(detector, tmp_path):
    state = build(detector.model['backbone'], 'mmdet').state_dict()
    whole, most, little = (str(tmp_path / name) for name in ('whole.pth', 'most.pth', 'little.pth'))
    torch.save(state, whole)
    name = 'stage4.0.conv.weight'
    torch.save({key: value for key, value in state.items() if key != name}, most)
    torch.save({key if key == name else f'old.{key}': value for key, value in state.items()}, little)
    assert resolve_start(whole, NAME, detector, strict=True) == (whole, True)
    assert resolve_start(most, NAME, detector) == (most, True)
    with pytest.raises(ValueError, match=f'does not fit the backbone to the last tensor(.|\n)*{name}'):
        resolve_start(most, NAME, detector, strict=True)
    with pytest.raises(ValueError, match='another architecture'):
        resolve_start(little, NAME, detector)
    assert resolve_start(little, NAME, detector, allow_partial=True) == (little, True)
    torch.save(dict(other=torch.ones(1)), little)
    with pytest.raises(ValueError, match='another architecture'):
        resolve_start(little, NAME, detector, allow_partial=True)
    with pytest.raises(ValueError, match='give one of them'):
        resolve_start(whole, NAME, detector, strict=True, allow_partial=True)


def test_a_file_that_the_config_names_has_to_be_there():
    config = get_config(NAME)
    config.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='gone/resnet.pth')
    detector = read_detector(config, downloads=False)
    with pytest.raises(FileNotFoundError, match='starts from gone/resnet.pth, which does not exist.*--start none'):
        resolve_start('imagenet', config, detector)
    assert resolve_start('none', config, detector) == ('none', False)  # it is not needed then


def test_what_is_said_of_a_start_that_a_user_may_not_expect(tmp_path):
    (tmp_path / 'here.pth').touch()
    config = get_config('mmdet::yolox/yolox_tiny_8xb8-300e_coco.py')
    without = read_detector(config, downloads=False)
    assert [note[:40] for note in start_notes(without, 'imagenet')] == ['the backbone starts from random numbers,']
    config.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'here.pth'))
    assert start_notes(read_detector(config, downloads=False), 'imagenet') == ()
    config.load_from = 'mine.pth'
    detector = read_detector(Config(config.to_dict()), downloads=False)
    assert start_notes(detector, 'imagenet') == (
        'load_from of the config is not used; give --start mine.pth to start from it', )
    assert start_notes(detector, 'none') == start_notes(detector, 'other.pth') == ()
