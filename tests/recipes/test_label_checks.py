import copy
import json

import pytest

from agssp_mm.recipes.label_checks import check_labels
from mmdet.datasets import CocoDataset

def without(entry, key):
    return {name: value for name, value in entry.items() if name != key}


IMAGE = dict(id=1, file_name='a.png', height=20, width=40)
BOX = dict(id=1, image_id=1, category_id=7, bbox=[30, 2, 6, 4], area=24, iscrowd=0)
COCO = dict(images=[IMAGE, dict(IMAGE, id=5, file_name='b.png')], categories=[dict(id=7, name='pit')],
            annotations=[BOX, dict(BOX, id=2, image_id=5)])


@pytest.fixture
def write(tmp_path):
    def write(**changes):
        path = tmp_path / 'labels.json'
        path.write_text(json.dumps(copy.deepcopy(dict(COCO, **changes))))
        return path
    return write


def test_a_sound_file_passes_without_a_word(write, caplog):
    check_labels(write(), is_measured_on=True)
    crowd = dict(BOX, id='3', iscrowd=1, segmentation=dict(size=[20, 40], counts=[0, 800]))
    others = [dict(IMAGE, id='a', height=20.0), dict(IMAGE, id=5, file_name='b.png')]
    check_labels(write(images=others, annotations=[dict(BOX, image_id='a'), dict(crowd, image_id=5)]), True)
    check_labels(write(annotations=[without(BOX, 'iscrowd')]))  # of the training alone
    assert not caplog.text


@pytest.mark.parametrize('part, what, entry, key', [
    *(('images', 'images', IMAGE, key) for key in ('id', 'file_name', 'height', 'width')),
    *(('annotations', 'boxes', BOX, key) for key in ('id', 'image_id', 'category_id', 'bbox', 'area')),
    ('categories', 'categories', COCO['categories'][0], 'id'),
])
def test_entries_that_lack_something(write, part, what, entry, key):
    with pytest.raises(ValueError, match=f'1 of {len(COCO[part]) + 1} {what} of .*labels.json have no "{key}"'):
        check_labels(write(**{part: [*COCO[part], without(dict(entry, id=9), key)]}))


@pytest.mark.parametrize('changes, message', [
    (dict(images=[IMAGE, IMAGE]), r'1 ids of the images of .* more than once, e.g. \[1\]'),
    (dict(annotations=[BOX, BOX]), 'ids of the boxes .* more than once'),
    (dict(annotations=[dict(BOX, id=[1])]), 'some ids of the boxes .* are no numbers'),
    (dict(annotations=[3]), 'some of its boxes are not'),
    (dict(images=[dict(IMAGE, height=0)]), r'1 of 1 images .* no positive numbers, e.g. those of the ids \[1\]'),
    (dict(images=[dict(IMAGE, width='40')]), 'no positive numbers'),
    (dict(annotations=[dict(BOX, bbox=[1, 2, 3])]), 'not four numbers'),
    (dict(annotations=[dict(BOX, bbox=[1, 2, 3, float('nan')])]), 'not four numbers'),
    (dict(annotations=[dict(BOX, area='24')]), '"area" that is no number'),
    (dict(annotations=[BOX, dict(BOX, id=2, image_id=3)]), '1 of 2 boxes .* "image_id" that no image has'),
    (dict(annotations=[BOX, dict(BOX, id=2, category_id=3)]), r'"category_id" that no category .* the ids \[2\]'),
    (dict(annotations=[BOX, dict(BOX, id=2, area=0)]), '1 of 2 boxes .* "area" of 0 or less'),
    (dict(annotations=[BOX, dict(BOX, id=2, image_id=[1])]), '1 of 2 boxes .* "image_id" that no image has'),
    (dict(categories=[dict(id=7, name=7)]), r'1 of 1 categories .* "name" that is no text, e.g. .* the ids \[7\]'),
    (dict(annotations=[dict(BOX, bbox=[50, 2, 6, 4])]), 'none of the 1 boxes .* can be used: 1 lie outside'),
    (dict(annotations=[dict(BOX, bbox=[50, 2, 6, 4]), dict(BOX, id=2, ignore=1)]), 'none of the 2 .* 1 are marked'),
    (dict(annotations=[]), 'has no boxes; label some defects'),
])
def test_labels_that_would_be_lost(write, changes, message):
    with pytest.raises(ValueError, match=message):
        check_labels(write(**changes))


@pytest.mark.parametrize('box, message', [
    (without(BOX, 'iscrowd'), '1 of 1 boxes .* have no "iscrowd"'),
    (dict(BOX, iscrowd=None), '"iscrowd" that is neither 0 nor 1'),
    (dict(BOX, id='a7f3-uuid'), 'an id that is no number'),
])
def test_labels_that_cannot_be_measured_on(write, box, message):
    with pytest.raises(ValueError, match=message):
        check_labels(write(annotations=[box]), is_measured_on=True)
    check_labels(write(annotations=[box]))


def test_the_id_that_stands_for_not_found(write, caplog):
    check_labels(write(annotations=[dict(BOX, id=0)]))
    assert not caplog.text
    check_labels(write(annotations=[dict(BOX, id=0)]), is_measured_on=True)
    assert 'has the id 0' in caplog.text


@pytest.mark.parametrize('bbox, area', [([39, 2, 0.5, 4], 2), ([39, 2, 0, 4], 0), ([40, 2, 6, 4], 24),
                                        ([-6, 2, 6, 4], 24), ([1, 20, 6, 4], 24)])
def test_what_no_detector_could_learn_from_is_counted(write, caplog, bbox, area):
    check_labels(write(annotations=[BOX, dict(BOX, id=8, bbox=bbox, area=area), dict(BOX, id=9, area=0, ignore=1)]))
    assert '1 of 2 boxes' in caplog.text and '[8]' in caplog.text


@pytest.mark.parametrize('changes', [
    dict(bbox=[39.5, 2, 6, 4]), dict(bbox=[39, 2, 0.5, 4]), dict(bbox=[40, 2, 6, 4]), dict(bbox=[-6, 2, 6.1, 4]),
    dict(bbox=[1, 20, 6, 4]), dict(bbox=[1, 19, 1, 1])])
def test_mmdet_leaves_out_what_is_said_to_be_left_out(write, caplog, changes):
    path = write(annotations=[BOX, dict(BOX, id=8, **changes)])
    check_labels(path)
    dataset = CocoDataset(ann_file=str(path), metainfo=dict(classes=('pit', )), data_prefix=dict(img=''), pipeline=[])
    assert len(dataset.get_data_info(0)['instances']) == (1 if 'MMDetection leaves them out' in caplog.text else 2)
