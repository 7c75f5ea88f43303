import numpy as np
import pytest
import torch
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.registry import TRANSFORMS

from agssp_mm.datasets.transforms.pseudo_proposals import PseudoProposals


def results(boxes):
    return dict(gt_bboxes=HorizontalBoxes(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)), img_shape=(40, 60))


def test_half_of_them_lie_close_to_the_boxes():
    np.random.seed(0)
    made = TRANSFORMS.build(dict(type='PseudoProposals', num=200, jitter=0.05))(results([[10, 8, 30, 24]]))
    proposals = made['proposals']
    assert proposals.shape == (200, 4)
    assert proposals.dtype == torch.float32
    assert torch.equal(made['proposals_scores'], torch.ones(200))
    # a side moves by a standard deviation of a twentieth of the box: 1.0 and 0.8 pixels
    off = proposals[:100] - torch.tensor([10.0, 8.0, 30.0, 24.0])
    assert off.std(0).tolist() == pytest.approx([1.0, 0.8, 1.0, 0.8], rel=0.25)
    assert off.mean(0).tolist() == pytest.approx([0.0] * 4, abs=0.4)
    assert (proposals[100:] - torch.tensor([10.0, 8.0, 30.0, 24.0])).std() > 5


def test_they_stay_in_the_image_and_are_boxes():
    np.random.seed(1)
    proposals = PseudoProposals(num=500, jitter=2.0)(results([[0, 0, 3, 2], [50, 30, 60, 40]]))['proposals']
    assert (proposals[:, :2] <= proposals[:, 2:]).all()
    assert proposals.min() >= 0
    assert (proposals[:, 2] <= 60).all()
    assert (proposals[:, 3] <= 40).all()


def test_an_image_without_boxes_gets_random_ones():
    proposals = PseudoProposals(num=10)(results([]))['proposals']
    assert proposals.shape == (10, 4)
    assert len({tuple(one) for one in proposals.tolist()}) == 10


@pytest.mark.parametrize('setting', [dict(num=1), dict(jitter=0.0)])
def test_bad_settings(setting):
    with pytest.raises(ValueError, match='needs num >= 2 and jitter > 0'):
        PseudoProposals(**setting)
