from types import SimpleNamespace

import numpy as np
import pytest

from agssp_mm.engine.detecting import _without_nests
from agssp_mm.engine.relabel import detections_to_coco
from agssp_mm.maps.boxes import PseudoBoxes


def found(*rows):
    boxes = [row[:4] for row in rows]
    return PseudoBoxes.of(boxes, [row[4] for row in rows], [[] for _ in rows])


def test_nested_tiny_and_protruding_detections():
    boxes = np.array([(2, 2, 10, 10), (-3, 0, 30, 20), (15, 12, 15.5, 20), (14, 10, 26, 22)], np.float32)
    detections = SimpleNamespace(bboxes=boxes, scores=np.array([0.3, 0.9, 0.8, 0.2], np.float32))
    detections.numpy = lambda: detections
    kept = _without_nests(SimpleNamespace(pred_instances=detections, ori_shape=(20, 24)))
    # The first lies inside the second, which is cut at the border; the third is thinner than a pixel; of the last
    # all lies in the second too.
    assert kept.boxes.tolist() == [[0, 0, 24, 20]] and kept.scores.tolist() == [pytest.approx(0.9)]


def test_coco_keeps_images_without_a_box():
    coco = detections_to_coco({'a.png': found(), 'b.png': found((1, 2, 4, 8, 0.75))},
                              {'a.png': (10, 20), 'b.png': (30, 40)}, dict(description='x'))
    assert coco['images'] == [dict(id=1, file_name='a.png', height=10, width=20),
                              dict(id=2, file_name='b.png', height=30, width=40)]
    assert coco['annotations'] == [dict(id=1, image_id=2, category_id=1, iscrowd=0, score=0.75, bbox=[1, 2, 3, 6],
                                        area=18)]
    assert coco['categories'] == [dict(id=1, name='anomaly')]
