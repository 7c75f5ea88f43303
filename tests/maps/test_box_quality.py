import json

import numpy as np
import pytest

from agssp_mm.maps.box_quality import TrueBoxes, judge_boxes, match_boxes, read_true_boxes
from agssp_mm.maps.boxes import PseudoBoxes


def found(*boxes):
    return PseudoBoxes.of(boxes, np.linspace(0.9, 0.8, len(boxes)), [[] for _ in boxes])


def test_each_true_box_is_found_once_and_each_box_finds_once():
    true = np.array([(0, 0, 10, 10), (0, 0, 10, 8)])
    # The first box takes the exact one; the second, equal one, has to do with the other (IoU 0.8).
    assert match_boxes(np.array([(0, 0, 10, 10), (0, 0, 10, 10)]), true, 0.5).tolist() == [True, True]
    assert match_boxes(np.array([(0, 0, 10, 10), (0, 0, 10, 10)]), true, 0.81).tolist() == [True, False]
    assert match_boxes(np.array([(0, 0, 10, 9)]), true, 0.5).tolist() == [True, False]  # 0.9 beats 8 / 9


def test_threshold_is_inclusive():
    true = np.array([(0, 0, 10, 10)])
    assert match_boxes(np.array([(0, 0, 10, 5)]), true, 0.5).tolist() == [True]
    assert match_boxes(np.array([(0, 0, 10, 4.9)]), true, 0.5).tolist() == [False]


def test_empty_sides():
    assert match_boxes(np.zeros((0, 4)), np.array([(0, 0, 1, 1)]), 0.5).tolist() == [False]
    assert match_boxes(np.array([(0, 0, 1, 1)]), np.zeros((0, 4)), 0.5).tolist() == []


def test_judge_boxes_by_hand():
    truth = {'a': TrueBoxes(np.array([(0, 0, 10, 10), (20, 0, 30, 10)]), ('pit', 'scratch')),
             'b': TrueBoxes(np.array([(0, 0, 10, 10)]), ('pit', )),
             'c': TrueBoxes(np.zeros((0, 4)), ()),
             'not in the store': TrueBoxes(np.array([(0, 0, 10, 10)]), ('crack', ))}
    boxes = {'a': found((0, 0, 10, 10), (20, 0, 30, 4), (50, 50, 60, 60)), 'b': found(), 'c': found((0, 0, 5, 5)),
             'not annotated': found((0, 0, 5, 5))}
    quality = judge_boxes(boxes, truth)
    assert quality.num_images == 3
    assert quality.recall == {0.3: pytest.approx(2 / 3), 0.5: pytest.approx(1 / 3)}  # the scratch at IoU 0.4
    assert quality.precision == {0.3: pytest.approx(2 / 4), 0.5: pytest.approx(1 / 4)}
    assert quality.category_recall == {'pit': {0.3: 0.5, 0.5: 0.5}, 'scratch': {0.3: 1.0, 0.5: 0.0}}
    assert quality.boxes_per_image == pytest.approx(4 / 3) and quality.empty_share == pytest.approx(1 / 3)


def test_shares_of_nothing_are_not_numbers():
    quality = judge_boxes({'a': found()}, {'a': TrueBoxes(np.zeros((0, 4)), ())})
    assert np.isnan(quality.recall[0.5]) and np.isnan(quality.precision[0.5]) and quality.category_recall == {}


def test_annotations_of_other_images_are_refused():
    with pytest.raises(ValueError, match="none of 1 images .* 'x/a.png', the annotations like 'a.png'"):
        judge_boxes({'x/a.png': found()}, {'a.png': TrueBoxes(np.zeros((0, 4)), ())})


def test_absolute_names_are_those_of_the_store_that_they_end_in():
    none, pit = TrueBoxes(np.zeros((0, 4)), ()), TrueBoxes(np.array([(0, 0, 10, 10)]), ('pit', ))
    boxes = {'x/a.png': found((0, 0, 10, 10)), 'a.png': found(), 'b.png': found()}
    truth = {'/data/x/a.png': pit, '/data/a.png': none, 'b.png': none, '/data/gone.png': pit, 'y/b.png': pit}
    quality = judge_boxes(boxes, truth)
    assert quality.num_images == 3 and quality.recall[0.5] == quality.precision[0.5] == 1
    # Of the same name in several folders only the folder counts that most images are in.
    truth = {'/data/y/b.png': pit, '/data/z/a.png': none, '/data/z/b.png': none, '/data/z/x/a.png': pit}
    assert judge_boxes(boxes, truth) == quality
    assert judge_boxes(boxes, {'./x\\a.png': pit, './a.png': none, 'b.png': none}) == quality


def test_read_true_boxes(tmp_path):
    path = tmp_path / 'train.json'
    coco = dict(images=[dict(id=7, file_name='a.png'), dict(id=9, file_name='b.png')],
                categories=[dict(id=3, name='pit')],
                annotations=[dict(id=1, image_id=7, category_id=3, bbox=[1, 2, 3, 4]),
                             dict(id=2, image_id=7, category_id=3, bbox=[0, 0, 9, 9], iscrowd=1)])
    path.write_text(json.dumps(coco))
    truth = read_true_boxes(path)
    assert list(truth) == ['a.png', 'b.png']
    assert truth['a.png'].boxes.tolist() == [[1, 2, 4, 6]] and truth['a.png'].categories == ('pit', )
    assert truth['b.png'].boxes.shape == (0, 4)
    coco['images'].append(dict(id=10, file_name='a.png'))  # as merged files do
    coco['annotations'].append(dict(id=3, image_id=10, category_id=3, bbox=[0, 0, 2, 2]))
    path.write_text(json.dumps(coco))
    assert read_true_boxes(path)['a.png'].boxes.tolist() == [[1, 2, 4, 6], [0, 0, 2, 2]]
    coco['annotations'][0]['image_id'] = 8
    for bad in (json.dumps(coco), '[]', '{}', 'no JSON'):
        path.write_text(bad)
        with pytest.raises(ValueError, match='train.json is no COCO JSON'):
            read_true_boxes(path)
    with pytest.raises(FileNotFoundError, match='no annotations at'):
        read_true_boxes(tmp_path / 'none.json')
