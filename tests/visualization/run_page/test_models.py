"""Activation maps and detections on the page: those of the checkpoints of the run."""
import json
import shutil

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS

from agssp_mm.datasets.synthetic import make_dataset
from agssp_mm.images import list_images
from agssp_mm.maps.box_quality import read_true_boxes
from agssp_mm.maps.generate import generate_maps
from agssp_mm.maps.store import MapStore
from agssp_mm.recipes.building import build
from agssp_mm.teachers.texture import TextureTeacher
from agssp_mm.visualization.run_page.activations import draw_activations
from agssp_mm.visualization.run_page.page import PageOptions, write_run_page
from agssp_mm.visualization.run_page.predictions import draw_predictions, find_held_out
from agssp_mm.visualization.run_page.work_folder import find_work_folder

RULE = dict(type='ComponentTreeBoxRule')


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """What agssp pretrain leaves, with checkpoints of known weights in place of trained ones."""
    out = tmp_path_factory.mktemp('run')
    data = make_dataset(out / 'data', num_images=9, size=64, seed=5, clean_share=0.0, num_val=3)
    images = list_images(data / 'annotations' / 'train.json', data / 'images')
    generate_maps(images, TextureTeacher(), out / 'maps')
    detector = get_config('mmdet::retinanet/retinanet_r18_fpn_1x_coco.py').model.to_dict()
    detector['backbone'].update(base_channels=4, init_cfg=None)
    detector['neck']['in_channels'] = [4, 8, 16, 32]
    detector['bbox_head']['num_classes'] = 1
    detector['test_cfg']['score_thr'] = 0.0
    dataset = dict(type='PseudoBoxDataset', images=str(data / 'annotations' / 'train.json'),
                   image_root=str(data / 'images'), store=str(out / 'maps'), pipeline=[
                       dict(type='LoadImageFromFile'), dict(type='RandomResize', scale=(96, 96), keep_ratio=True),
                       dict(type='RandomCrop', crop_size=(64, 64)), dict(type='PackDetInputs')])
    agbp = Config(dict(default_scope='mmdet', custom_hooks=[dict(type='DistillationPretrainer', levels=(-2, -1))],
                       model=dict(type='BackbonePretrainer', backbone=detector['backbone'],
                                  data_preprocessor=detector['data_preprocessor']),
                       train_dataloader=dict(dataset=dict(dataset, held_out=2))))
    agdp = Config(dict(default_scope='mmdet', model=detector, train_dataloader=dict(dataset=dict(dataset, rule=RULE))))
    finetune = Config(dict(val_dataloader=dict(dataset=dict(
        type='CocoDataset', ann_file=str(data / 'annotations' / 'val.json'),
        data_prefix=dict(img=str(data / 'images'))))))
    for name, config in dict(agbp=agbp, agdp=agdp, finetune=finetune).items():
        config.dump(out / f'{name}.py')
    (out / 'agbp').mkdir()
    (out / 'agdp').mkdir()
    (out / 'pretrain.json').write_text('{}')
    torch.manual_seed(0)
    whole = build(detector, 'mmdet')
    whole.init_weights()
    state = whole.state_dict()
    torch.save(dict(state_dict=state), out / 'detector.pth')
    torch.save(dict(state_dict={name: value for name, value in state.items() if name.startswith('backbone.')}),
               out / 'backbone.pth')
    return out


def test_activation_maps_are_those_of_the_backbone(run):
    folder = find_work_folder(run)
    store = MapStore.open(run / 'maps')
    config = folder.stage('agbp').config
    rows, notes = draw_activations(config, folder.weights['backbone'], store, folder.image_root, store.index[:2])
    assert [row.name for row in rows] == [record.name for record in store.index[:2]]
    assert [panel['title'] for panel in rows[0].panels] == [
        'image', 'anomaly map', 'level 2, before', 'level 2, after', 'level 3, before', 'level 3, after']
    assert notes == ['Stage 1 began with random weights; “before” is another draw of them.']
    # by hand: enlarge, normalise, square, sum, correlate
    model = build(config.model.to_dict(), 'mmdet').eval()
    model.load_state_dict(torch.load(run / 'backbone.pth', weights_only=True)['state_dict'])
    record = store.index[0]
    image = cv2.resize(cv2.imread(str(folder.image_root / record.name)), (96, 96), interpolation=cv2.INTER_LINEAR)
    anomaly = cv2.resize(store.read(record.name), (96, 96), interpolation=cv2.INTER_LINEAR)
    preprocessor = model.data_preprocessor
    inputs = (torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1).float() - preprocessor.mean) / preprocessor.std
    with torch.no_grad():
        energy = model.backbone(inputs[None])[2][0].square().sum(0).numpy()
    coarse = anomaly.reshape(6, 16, 6, 16).mean((1, 3))
    expected = np.corrcoef(energy.ravel(), coarse.ravel())[0, 1]
    assert rows[0].panels[3]['caption'] == f'agreement {expected:+.2f}'
    assert rows[0].panels[2]['src'] != rows[0].panels[3]['src']


def test_detections_are_those_of_the_detector_on_images_that_nobody_trained_on(run):
    folder = find_work_folder(run)
    store = MapStore.open(run / 'maps')
    images = find_held_out(folder, store, {}, 8)
    truth = read_true_boxes(run / 'data' / 'annotations' / 'val.json')
    assert list(images.files) == list(truth)
    assert not set(images.files) & {record.name for record in store.index}
    assert images.note == 'Validation images; no stage of the pretraining saw them.'
    config = folder.stage('agdp').config
    cards = draw_predictions(config, folder.weights['detector'], images)
    assert [card['name'] for card in cards] == list(truth)
    for card in cards:
        scores = [box[4] for box in card['boxes']]
        assert len(scores) == 3 and max(scores) < 0.3  # none is sure, so the best few; in pixels of the image
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= x1 <= x2 <= 64 and 0 <= y1 <= y2 <= 64 for x1, y1, x2, y2, _ in card['boxes'])
        assert [box[:4] for box in card['truth']] == truth[card['name']].boxes.round(1).tolist()
    other = build(config.model.to_dict(), 'mmdet')
    other.init_weights()
    torch.save(dict(state_dict=other.state_dict()), run / 'other.pth')
    assert draw_predictions(config, run / 'other.pth', images)[0]['boxes'] != cards[0]['boxes']


def test_images_of_the_pretraining_are_known_under_another_name(run, tmp_path):
    """Labels name the same images below another folder, or others by the same names."""
    folder, store = find_work_folder(run), MapStore.open(run / 'maps')
    names = [record.name for record in store.index]
    shutil.copytree(run / 'data' / 'images', tmp_path / 'others')
    (tmp_path / 'link').symlink_to(run / 'data')
    folder.path = tmp_path

    def found_below(root, prefix):
        coco = json.loads((run / 'data' / 'annotations' / 'train.json').read_text())
        for image in coco['images']:
            image['file_name'] = prefix + image['file_name']
        (tmp_path / 'labels.json').write_text(json.dumps(coco))
        Config(dict(val_dataloader=dict(dataset=dict(ann_file=str(tmp_path / 'labels.json'),
                                                     data_prefix=dict(img=str(root)))))).dump(tmp_path / 'finetune.py')
        return find_held_out(folder, store, {}, 8)

    for root, prefix in ((run / 'data', 'images/'), (tmp_path / 'link' / 'images', '')):
        assert 'stage 2 trained on their pseudo boxes too' in found_below(root, prefix).note
    others = found_below(tmp_path / 'others', '')
    assert others.note == 'Validation images; no stage of the pretraining saw them.'
    assert set(others.files) <= set(names)


def test_without_labels_those_that_stage_1_kept_out_are_shown_and_named_so(run, tmp_path):
    folder = find_work_folder(run)
    folder.path = tmp_path  # no finetune.py there
    store = MapStore.open(run / 'maps')
    images = find_held_out(folder, store, {}, 8)
    assert set(images.files) == {record.name for record in store.index[:2]}
    assert 'stage 2 trained on their pseudo boxes too' in images.note


def test_of_a_store_that_covers_more_those_of_the_list_that_stage_1_kept_out_are_shown(run, tmp_path):
    folder, store = find_work_folder(run), MapStore.open(run / 'maps')
    folder.path, folder.images = tmp_path, tmp_path / 'some'
    own = store.index[3:]
    folder.images.write_text(''.join(f'{record.name}\n' for record in own))
    dataset = folder.stage('agbp').config.train_dataloader.dataset
    dataset.update(images=str(folder.images), image_root=str(folder.image_root))
    built = DATASETS.build(dict(dataset, test_mode=True, pipeline=[]))
    kept_out = {data['img_path'] for data in built.load_data_list()}
    found = find_held_out(folder, store, {}, 8)
    assert {str(path) for path in found.files.values()} == kept_out == {
        str(folder.image_root / record.name) for record in own[:2]}
    folder.images.unlink()
    assert find_held_out(folder, store, {}, 8) is None
    assert 'Which images stage 1 kept out of its training is not known: images: ' in folder.problems[-1]


@pytest.mark.parametrize('text, problem', [('model = dict(', 'finetune.py cannot be read (SyntaxError'),
                                           ('val_dataloader = None', None)])
def test_an_edited_config_of_the_fine_tuning_does_not_stop_the_page(run, tmp_path, text, problem):
    folder = find_work_folder(run)
    folder.path = tmp_path
    (tmp_path / 'finetune.py').write_text(text)
    assert len(find_held_out(folder, MapStore.open(run / 'maps'), {}, 8).files) == 2
    assert any(problem in known for known in folder.problems) if problem else not folder.problems


def test_models_are_built_without_a_word(run, tmp_path, capfd):
    logger = MMLogger.get_instance('stage', log_file=str(tmp_path / 'stage.log'))
    logger.info('the end of a training')
    before, _ = (tmp_path / 'stage.log').read_text(), capfd.readouterr()
    write_run_page(run, options=PageOptions(num_sampled=2, per_order=1))
    assert (tmp_path / 'stage.log').read_text() == before
    assert capfd.readouterr() == ('', '')
    logger.info('and on')
    assert 'and on' in (tmp_path / 'stage.log').read_text()


def test_the_page_shows_both_and_survives_a_broken_checkpoint(run):
    text = write_run_page(run, options=PageOptions(num_sampled=4, per_order=2)).read_text()
    assert text.count('<div class="strip"') == 2
    assert len(json.loads(text.split('id="data">')[1].split('</script>')[0])['predictions']) == 3
    whole = (run / 'detector.pth').read_bytes()
    (run / 'detector.pth').write_bytes(whole[:1000])
    text = write_run_page(run, options=PageOptions(num_sampled=4, per_order=2)).read_text()
    (run / 'detector.pth').write_bytes(whole)
    assert 'The detections cannot be drawn (' in text
    assert text.count('<div class="strip"') == 2


def test_deep_images_are_shown_as_the_detector_sees_them(run, tmp_path):
    folder = find_work_folder(run)
    images = find_held_out(folder, MapStore.open(run / 'maps'), {}, 1)
    name, path = next(iter(images.files.items()))
    cv2.imwrite(str(tmp_path / 'deep.png'), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.uint16) * 8)
    config, weights = folder.stage('agdp').config, folder.weights['detector']
    expected = draw_predictions(config, weights, images)
    config.train_dataloader.dataset.pipeline[0] = dict(type='LoadIndustrialImage', value_range=(0, 255 * 8))
    assert draw_predictions(config, weights, images._replace(files={name: tmp_path / 'deep.png'})) == expected
