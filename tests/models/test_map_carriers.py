import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement, PixelData

from agssp_mm.models.map_carriers import stack_maps, take_maps


def mmdet_sample(one):
    from mmdet.structures import DetDataSample
    sample = DetDataSample()
    sample.gt_sem_seg = PixelData(sem_seg=one[None])
    return sample


def mmpretrain_sample(one):
    from mmpretrain.structures import DataSample
    sample = DataSample()
    sample.set_field(one, 'gt_seg_map')
    return sample


MAP = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize('sample', [mmdet_sample(torch.from_numpy(MAP)), mmpretrain_sample(MAP),
                                    mmpretrain_sample(torch.from_numpy(MAP))])
def test_maps_are_taken_off_both_carriers(sample):
    assert torch.equal(take_maps([sample])[0], torch.from_numpy(MAP))
    assert 'gt_sem_seg' not in sample and 'gt_seg_map' not in sample


def test_a_sample_without_map_is_named():
    with pytest.raises(ValueError, match='sample 1 of the batch carries no anomaly map.*AnomalyMapGenerator'):
        take_maps([mmpretrain_sample(MAP), BaseDataElement()])


@pytest.mark.parametrize('samples', [None, []])
def test_a_batch_without_samples_is_refused(samples):
    with pytest.raises(ValueError, match='the batch has no data samples'):
        take_maps(samples)


@pytest.mark.parametrize('value, found', [(np.zeros((3, 4), np.uint8), r'\(3, 4\), torch.uint8'),
                                          (np.zeros((2, 3, 4), np.float32), r'\(2, 3, 4\), torch.float32')])
def test_labels_and_stacks_are_no_anomaly_maps(value, found):
    with pytest.raises(ValueError, match=f'gt_seg_map of sample 0 is no anomaly map: shape {found}'):
        take_maps([mmpretrain_sample(value)])


def test_stacking_gives_float32_with_a_channel():
    stacked = stack_maps([torch.zeros(3, 4, dtype=torch.float64), torch.ones(3, 4)], (3, 4), torch.device('cpu'))
    assert stacked.shape == (2, 1, 3, 4) and stacked.dtype == torch.float32
    assert stacked[1].eq(1).all()


def test_a_map_of_another_size_than_the_input_names_both_and_the_causes():
    with pytest.raises(ValueError, match='map of sample 1 is 3x4, but the network input is 4x4'
                                         '.*RandomCenterCropPad.*pad_seg=True'):
        stack_maps([torch.zeros(4, 4), torch.zeros(3, 4)], (4, 4), torch.device('cpu'))


def test_of_one_map_per_view_the_asked_one_is_taken():
    samples = [mmpretrain_sample([MAP, MAP + 1]), mmpretrain_sample([torch.from_numpy(MAP), torch.from_numpy(MAP) + 1])]
    for sample in samples:
        assert torch.equal(take_maps([sample], view=1)[0], torch.from_numpy(MAP + 1))
        assert 'gt_seg_map' not in sample
    assert torch.equal(take_maps([mmpretrain_sample(MAP)], view=1)[0], torch.from_numpy(MAP))


@pytest.mark.parametrize('view', [None, 2, -3])
def test_a_view_without_a_map_is_refused(view):
    with pytest.raises(ValueError, match=f'sample 0 carries 2 anomaly maps, one per view, and view={view} picks none'):
        take_maps([mmpretrain_sample([MAP, MAP])], view=view)
