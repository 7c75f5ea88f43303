"""What a model is fed, drawn."""
import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement, InstanceData, PixelData

from agssp_mm.visualization.overlays import BOX_COLOURS, overlay_map
from agssp_mm.visualization.sample_pictures import input_picture, map_of, sample_pictures

GREY = torch.full((3, 16, 20), 100, dtype=torch.uint8)


def sample(anomaly=None, boxes=None):
    made = BaseDataElement()
    if anomaly is not None:
        made.gt_sem_seg = PixelData(sem_seg=torch.from_numpy(anomaly)[None])
    if boxes is not None:
        made.gt_instances = InstanceData(bboxes=torch.tensor(boxes))
    return made


def test_the_map_is_laid_over_and_left_in_the_sample():
    anomaly = np.zeros((16, 20), np.float32)
    anomaly[4:8, 4:8] = 1
    carried = sample(anomaly)
    pictures = sample_pictures(GREY, carried)
    assert list(pictures) == ['map']
    assert np.array_equal(pictures['map'], overlay_map(np.full((16, 20, 3), 100, np.uint8), anomaly))
    assert np.array_equal(map_of(carried), anomaly)


def test_boxes_are_drawn_on_both():
    anomaly = np.full((16, 20), np.nan, np.float32)
    pictures = sample_pictures(GREY, sample(anomaly, [[2.0, 3.0, 10.0, 12.0]]))
    assert set(pictures) == {'map', 'boxes'}
    for picture in pictures.values():
        assert tuple(picture[3, 5]) == BOX_COLOURS['pseudo box']
        assert tuple(picture[7, 5]) == (100, 100, 100)


def test_a_smaller_map_leaves_the_padding_alone():
    pictures = sample_pictures(GREY, sample(np.ones((8, 8), np.float32)))
    assert (pictures['map'][8:] == 100).all() and (pictures['map'][:8, :8] != 100).any()


def test_other_inputs():
    assert input_picture(torch.tensor([[[-1.0, 1.0]]])).tolist() == [[[0, 0, 0], [255, 255, 255]]]
    assert input_picture(torch.tensor([[[0.0, 200.0]]])).tolist() == [[[0, 0, 0], [200, 200, 200]]]
    with pytest.raises(ValueError, match=r'got shape \(5, 2, 2\)'):
        input_picture(torch.zeros(5, 2, 2))
    assert sample_pictures(GREY, sample()) == {}
    labels = BaseDataElement()
    labels.gt_sem_seg = PixelData(sem_seg=torch.zeros(1, 4, 4, dtype=torch.int64))
    assert map_of(labels) is None  # class labels are no anomaly map
