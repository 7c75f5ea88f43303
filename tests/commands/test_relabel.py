"""A detector that was pretrained makes the boxes of the next round."""
import errno
import json

import pytest
import torch
from mmengine.config import Config
from mmengine.fileio import LocalBackend
from mmengine.registry import init_default_scope

from agssp_mm.cli import main
from agssp_mm.engine import detecting, next_round
from agssp_mm.images import list_images
from agssp_mm.maps.boxes import PseudoBoxes
from agssp_mm.maps.generate import generate_maps
from mmdet.registry import MODELS


@pytest.fixture
def trained(tmp_path):
    """Config and weights of a small class-agnostic RetinaNet that finds something everywhere."""
    init_default_scope('mmdet')
    config = Config(dict(model=dict(
        type='RetinaNet', data_preprocessor=dict(type='DetDataPreprocessor', pad_size_divisor=32),
        backbone=dict(type='ResNet', depth=18, base_channels=4, num_stages=4, out_indices=(2, 3)),
        neck=dict(type='FPN', in_channels=[16, 32], out_channels=8, num_outs=2),
        bbox_head=dict(type='RetinaHead', num_classes=1, in_channels=8, stacked_convs=1, feat_channels=8,
                       anchor_generator=dict(type='AnchorGenerator', octave_base_scale=1, scales_per_octave=1,
                                             ratios=[1.0], strides=[16, 32])),
        test_cfg=dict(nms_pre=50, score_thr=0.99, nms=dict(type='nms', iou_threshold=0.5), max_per_img=20)),
        work_dir=str(tmp_path)))
    config.dump(tmp_path / 'agdp.py')
    torch.manual_seed(0)
    torch.save(dict(state_dict=MODELS.build(config.model).state_dict()), tmp_path / 'detector.pth')
    return [str(tmp_path / 'agdp.py'), str(tmp_path / 'detector.pth')]


def test_boxes_of_a_second_round(trained, image_folder, toy_teacher, tmp_path, capsys):
    generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'maps')
    out, again = tmp_path / 'boxes.json', tmp_path / 'again.json'
    arguments = ['relabel', *trained, str(image_folder), str(tmp_path / 'maps')]
    options = ['--image-size', '64', '--per-image', '2', '--device', 'cpu']
    assert main([*arguments, str(out), *options]) == 0
    coco = json.loads(out.read_text())
    assert [(one['file_name'], one['height'], one['width']) for one in coco['images']] == [
        (entry.name, 32, 24) for entry in list_images(image_folder)]
    assert len(coco['annotations']) == 24 and '24 pseudo boxes in 12 images' in capsys.readouterr().out
    for one in coco['annotations']:
        x, y, width, height = one['bbox']
        assert x >= 0 and y >= 0 and x + width <= 24.01 and y + height <= 32.01 and min(width, height) >= 1
        assert one['category_id'] == 1
    # Of one call or many, of small batches or large ones, and with the boxes themselves taken for true ones:
    assert main([*arguments, str(again), *options, '--annotations', str(out)]) == 0
    assert again.read_bytes() == out.read_bytes()
    assert 'recall at IoU 0.3: 1.000, 0.5: 1.000' in capsys.readouterr().out


@pytest.mark.parametrize('kind, scale, given', [
    ('RandomResize', (64, 64), None), ('mmcv.Resize', 64, None), ('Resize', (128, 128), '64')])
def test_the_size_is_that_of_the_training_unless_it_is_given(trained, image_folder, toy_teacher, tmp_path, kind, scale,
                                                             given):
    generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'maps')
    config, pipeline = Config.fromfile(trained[0]), [dict(type='LoadImageFromFile'), dict(type=kind, scale=scale)]
    # wrapped, as for detectors that mix images
    config.train_dataloader = dict(dataset=dict(type='MultiImageMixDataset', pipeline=[], dataset=dict(
        type='PseudoBoxDataset', rule=dict(type='ComponentTreeBoxRule'), pipeline=pipeline)))
    config.dump(trained[0])
    options = ['--per-image', '1', '--device', 'cpu', *(['--image-size', given] if given else [])]
    assert main(['relabel', *trained, str(image_folder), str(tmp_path / 'maps'), str(tmp_path / 'out.json'),
                 *options]) == 0
    assert json.loads((tmp_path / 'out.json').read_text())['info']['image_size'] == 64


@pytest.mark.parametrize('chosen, kept', [(dict(), 12), (dict(per_image=0.25), 3), (dict(per_image=9), 12)])
def test_as_many_boxes_as_the_training_had(trained, image_folder, toy_teacher, tmp_path, chosen, kept):
    generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'maps')
    config = Config.fromfile(trained[0])
    config.train_dataloader = dict(dataset=dict(  # one box in each of the 12 images
        type='PseudoBoxDataset', rule=dict(type='PaperBoxRule', offset=20.0), pipeline=[], **chosen))
    config.dump(trained[0])
    assert main(['relabel', *trained, str(image_folder), str(tmp_path / 'maps'), str(tmp_path / 'out.json'),
                 '--image-size', '64', '--device', 'cpu']) == 0
    assert len(json.loads((tmp_path / 'out.json').read_text())['annotations']) == kept


@pytest.mark.parametrize('arguments, dataset, message', [
    (['--per-image', '0'], dict(rule=dict(type='PaperBoxRule')), 'must be > 0 and finite, got 0'),
    (['--image-size', '0'], dict(rule=dict(type='PaperBoxRule')), 'image_size must be at least 1 pixel, got 0'),
    ([], dict(rule=None), 'trains on no PseudoBoxDataset with a rule or boxes; give the config of stage 2'),
    ([], dict(rule=None, boxes='few.json'), '11 of 12 images are not in'),
])
def test_what_cannot_be_kept_is_told_before_it_looks(trained, image_folder, toy_teacher, tmp_path, monkeypatch,
                                                     capsys, arguments, dataset, message):
    generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'maps')
    monkeypatch.setattr(next_round, 'detect_boxes', lambda *_: pytest.fail('the detector looked'))
    monkeypatch.chdir(tmp_path)
    first = list_images(image_folder)[0].name
    (tmp_path / 'few.json').write_text(json.dumps(dict(images=[dict(id=1, file_name=first)], annotations=[],
                                                       categories=[dict(id=1, name='anomaly')])))
    config = Config.fromfile(trained[0])
    config.train_dataloader = dict(dataset=dict(type='PseudoBoxDataset', pipeline=[], **dataset))
    config.dump(trained[0])
    assert main(['relabel', *trained, str(image_folder), str(tmp_path / 'maps'), str(tmp_path / 'out.json'),
                 '--image-size', '64', '--device', 'cpu', *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_detector_that_finds_nothing(trained, image_folder, toy_teacher, tmp_path, monkeypatch, capsys):
    generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'maps')
    monkeypatch.setattr(next_round, 'detect_boxes', lambda *_: {'a.png': PseudoBoxes.of([], [], [])})
    assert main(['relabel', *trained, str(image_folder), str(tmp_path / 'maps'), str(tmp_path / 'out.json'),
                 '--image-size', '64', '--per-image', '1', '--device', 'cpu']) == 2
    assert 'finds nothing in any of 1 images; train stage 2 for longer' in capsys.readouterr().err


def test_a_size_that_is_no_square_is_asked_for(trained, image_folder, toy_teacher, tmp_path, capsys):
    generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'maps')
    config = Config.fromfile(trained[0])
    config.train_dataloader = dict(dataset=dict(pipeline=[dict(type='Resize', scale=(1333, 800))]))
    config.dump(trained[0])
    assert main(['relabel', *trained, str(image_folder), str(tmp_path / 'maps'), str(tmp_path / 'out.json'),
                 '--per-image', '1']) == 2
    assert 'scales them to (1333, 800)' in capsys.readouterr().err


def test_settings_that_the_config_makes_are_no_options(capsys):
    for option in ('--value-range', '--value-percentiles', '--sources'):
        with pytest.raises(SystemExit):
            main(['relabel', 'agdp.py', 'detector.pth', 'images', 'maps', 'out.json', option, '1', '2'])
        assert f'unrecognized arguments: {option} 1 2' in capsys.readouterr().err


def test_a_checkpoint_of_another_model_and_images_without_maps(trained, image_folder, toy_teacher, tmp_path, capsys):
    generate_maps(list_images(image_folder / 'deep'), toy_teacher, tmp_path / 'maps')
    arguments = ['relabel', *trained, str(image_folder), str(tmp_path / 'maps'), str(tmp_path / 'out.json')]
    assert main(arguments) == 2
    assert '12 of 12 images are not in' in capsys.readouterr().err
    arguments[3] = str(image_folder / 'deep')
    assert main(arguments) == 2
    assert 'how many boxes to keep is not known' in capsys.readouterr().err
    arguments += ['--per-image', '1']
    assert main(arguments) == 2
    assert 'has no Resize or RandomResize' in capsys.readouterr().err
    arguments += ['--image-size', '64']
    torch.save(dict(state_dict={'backbone.conv1.weight': torch.zeros(1)}), trained[1])
    arguments[3] = str(image_folder / 'deep')
    assert main(arguments) == 2
    assert 'tensors are missing or of another shape' in capsys.readouterr().err
    assert not (tmp_path / 'out.json').exists()


def _interrupt(*_):
    raise KeyboardInterrupt


@pytest.fixture
def relabel(trained, image_folder, toy_teacher, tmp_path):
    generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'maps')

    def relabel(out, *options):
        return main(['relabel', *trained, str(image_folder), str(tmp_path / 'maps'), str(tmp_path / out), *options,
                     '--image-size', '64', '--per-image', '2', '--device', 'cpu', '--batch-size', '2'])
    return relabel


@pytest.mark.parametrize('bad', [None, '01.png'])
def test_a_killed_run_goes_on_and_leaves_the_boxes_alone(relabel, image_folder, tmp_path, monkeypatch, bad):
    monkeypatch.setattr(detecting, 'PART_IMAGES', 5)
    if bad:
        (image_folder / bad).write_bytes(b'no image')
    assert relabel('whole.json') == 0
    seen, detect = [], detecting._without_nests

    def killed_at_the_last(sample):
        seen.append(sample.img_path)
        if len(seen) == (11 if bad else 12):
            raise KeyboardInterrupt
        return detect(sample)

    monkeypatch.setattr(detecting, '_without_nests', killed_at_the_last)
    assert relabel('boxes.json') == 130 and not (tmp_path / 'boxes.json').exists()
    assert len(list((tmp_path / 'boxes.json.parts').glob('*/*.npz'))) == (1 if bad else 2)
    assert relabel('boxes.json', '--workers', '0') == 0
    # The last two images alone were looked at again, and those of the part that one could not be read of.
    assert len(seen) == (11 + 2 + 4 if bad else 12 + 2)
    assert (tmp_path / 'boxes.json').read_bytes() == (tmp_path / 'whole.json').read_bytes()
    assert not (tmp_path / 'boxes.json.parts').exists()


def test_parts_of_other_weights_are_not_taken_up(relabel, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(detecting, 'PART_IMAGES', 5)
    with monkeypatch.context() as context:
        context.setattr(next_round, 'keep_strongest', _interrupt)
        assert relabel('boxes.json') == 130
    assert list((tmp_path / 'boxes.json.parts').glob('*/*.npz'))
    torch.manual_seed(1)
    torch.save(dict(state_dict=MODELS.build(Config.fromfile(trained[0]).model).state_dict()), trained[1])
    assert relabel('boxes.json') == relabel('whole.json') == 0
    assert (tmp_path / 'boxes.json').read_bytes() == (tmp_path / 'whole.json').read_bytes()


def test_images_that_cannot_be_read_any_more_have_no_box_and_are_named(relabel, image_folder, tmp_path, caplog):
    (image_folder / '03.png').write_bytes(b'no image')
    assert relabel('boxes.json') == 0
    coco = json.loads((tmp_path / 'boxes.json').read_text())
    names = {image['id']: image['file_name'] for image in coco['images']}
    assert len(names) == 12
    assert {names[one['image_id']] for one in coco['annotations']} <= set(names.values()) - {'03.png'}
    assert '1 of 12 images could not be read and have no box' in caplog.text and '03.png' in caplog.text


def test_a_disk_that_is_slow_to_answer_is_waited_for(relabel, tmp_path, monkeypatch):
    assert relabel('whole.json') == 0
    monkeypatch.setattr('agssp_mm.maps.decoding.RETRIES', (0, 0))
    answer, asked = LocalBackend.get, []

    def hesitant(backend, path):
        asked.append(path)
        if len(asked) in (3, 4):
            raise OSError(errno.EIO, 'Input/output error', path)
        return answer(backend, path)

    monkeypatch.setattr(LocalBackend, 'get', hesitant)
    assert relabel('boxes.json', '--workers', '0') == 0 and len(asked) == 14
    assert (tmp_path / 'boxes.json').read_bytes() == (tmp_path / 'whole.json').read_bytes()


def test_annotations_of_other_images_are_refused_before_the_work(relabel, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(detecting, '_detect', _interrupt)
    (tmp_path / 'truth.json').write_text(json.dumps(dict(
        images=[dict(id=1, file_name='/mill/x.png')], annotations=[], categories=[])))
    assert relabel('boxes.json', '--annotations', str(tmp_path / 'truth.json')) == 2
    assert 'none of 12 images of the store is among the 1 annotated ones' in capsys.readouterr().err


def test_many_images_that_cannot_be_read_end_the_run(relabel, image_folder, tmp_path, capsys, monkeypatch):
    for path in image_folder.rglob('*.png'):
        path.write_bytes(b'no image')
    assert relabel('boxes.json') == 2
    assert '11 images' in (said := capsys.readouterr().err) or '12 images' in said
    assert 'more than faulty files explain' in said and not (tmp_path / 'boxes.json').exists()
    monkeypatch.setattr(detecting, 'most_lost', lambda number: number)
    assert relabel('boxes.json') == 2
    assert 'none of the 12 images' in capsys.readouterr().err
