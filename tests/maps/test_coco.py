import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from agssp_mm.maps.boxes import PseudoBoxes
from agssp_mm.maps.coco import boxes_to_coco, read_pseudo_boxes, write_coco
from agssp_mm.maps.paper_boxes import PaperBoxRule
from agssp_mm.maps.records import MapRecord

RECORDS = [MapRecord('b/1.png', 'default', 40, 60, 'k0', 0.5, 1.0),
           MapRecord('0.png', 'default', 30, 20, 'k1', 0.1, 0.2)]
SQUARE = np.array([(4, 5), (14, 5), (14, 15), (4, 15)], np.float32)
TRIANGLE = np.array([(20, 20), (30, 20), (20, 26)], np.float32)
BOXES = {'0.png': PseudoBoxes.of([], [], []),
         'b/1.png': PseudoBoxes.of([(4, 5, 14, 15), (20, 20, 30.126, 26)], [0.5, 0.75],
                                    [[SQUARE, TRIANGLE], [TRIANGLE]])}


def test_form_and_values():
    coco = boxes_to_coco(BOXES, RECORDS, PaperBoxRule(offset=0.5))
    assert coco['images'] == [dict(id=1, file_name='b/1.png', width=60, height=40),
                              dict(id=2, file_name='0.png', width=20, height=30)]
    assert coco['categories'] == [dict(id=1, name='anomaly')]
    assert coco['info']['rule'] == 'PaperBoxRule' and coco['info']['settings'] == PaperBoxRule(offset=0.5).settings
    best, second = coco['annotations']
    assert best == dict(id=1, image_id=1, category_id=1, iscrowd=0, bbox=[20.0, 20.0, 10.13, 6.0], score=0.75,
                        area=30.0, segmentation=[[20.0, 20.0, 30.0, 20.0, 20.0, 26.0]])
    assert second['id'] == 2 and second['area'] == 130.0 and len(second['segmentation']) == 2


def test_missing_boxes_are_an_error():
    with pytest.raises(KeyError, match='0.png'):
        boxes_to_coco({'b/1.png': BOXES['b/1.png']}, RECORDS, PaperBoxRule())


def test_pycocotools_reads_it(tmp_path):
    path = tmp_path / 'new' / 'boxes.json'
    write_coco(path, boxes_to_coco(BOXES, RECORDS, PaperBoxRule()))
    coco = COCO(path)
    assert coco.getImgIds() == [1, 2] and len(coco.getAnnIds(imgIds=[2])) == 0
    annotation = coco.loadAnns(coco.getAnnIds(imgIds=[1]))[1]
    mask = coco.annToMask(annotation)
    assert mask.shape == (40, 60) and mask[5:15, 4:14].all() and mask.sum() == pytest.approx(130, abs=8)


def test_mmdet_reads_it_negatives_included(tmp_path):
    from mmdet.datasets import CocoDataset
    path = tmp_path / 'boxes.json'
    write_coco(path, boxes_to_coco(BOXES, RECORDS, PaperBoxRule()))
    dataset = CocoDataset(ann_file=str(path), data_prefix=dict(img='images'), metainfo=dict(classes=('anomaly', )),
                          filter_cfg=dict(filter_empty_gt=False), pipeline=[])
    assert len(dataset) == 2
    first, second = dataset.get_data_info(0), dataset.get_data_info(1)
    assert first['img_path'] == 'images/b/1.png' and second['instances'] == []
    np.testing.assert_allclose([instance['bbox'] for instance in first['instances']],
                               [[20, 20, 30.13, 26], [4, 5, 14, 15]])
    assert [instance['bbox_label'] for instance in first['instances']] == [0, 0]
    assert first['instances'][1]['mask'][0] == SQUARE.ravel().tolist()


def test_failed_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / 'boxes.json'
    write_coco(path, dict(images=[]))
    with pytest.raises(TypeError):
        write_coco(path, dict(images=[np.float32(1)]))
    assert json.loads(path.read_text()) == dict(images=[]) and list(tmp_path.iterdir()) == [path]


def test_what_is_written_is_read_again(tmp_path):
    write_coco(tmp_path / 'boxes.json', boxes_to_coco(BOXES, RECORDS, PaperBoxRule()))
    read = read_pseudo_boxes(tmp_path / 'boxes.json')
    assert sorted(read) == ['0.png', 'b/1.png'] and len(read['0.png'].boxes) == 0
    for name, wanted in BOXES.items():
        np.testing.assert_allclose(read[name].boxes, wanted.boxes, atol=0.006)
        assert read[name].boxes.dtype == np.float32
        np.testing.assert_array_equal(read[name].scores, wanted.scores)
    assert [len(outlines) for outlines in read['b/1.png'].polygons] == [1, 2]
    np.testing.assert_array_equal(read['b/1.png'].polygons[1][0], SQUARE)


@pytest.mark.parametrize('text, message', [
    ('{"images": [', 'is no COCO JSON of pseudo boxes'),
    ('{"images": [], "annotations": []}', "is no COCO JSON of pseudo boxes .*'categories'"),
    ('{"images": [], "annotations": [{"image_id": 3}], "categories": []}', 'KeyError: 3'),
    ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "crack"}]}',
     r"categories \['crack'\]; .* labels have no place in the pretraining"),
])
def test_other_files_are_refused(tmp_path, text, message):
    (tmp_path / 'boxes.json').write_text(text)
    with pytest.raises(ValueError, match=message):
        read_pseudo_boxes(tmp_path / 'boxes.json')
    with pytest.raises(FileNotFoundError, match='there is no .*gone.json; agssp make-boxes or agssp relabel'):
        read_pseudo_boxes(tmp_path / 'gone.json')
