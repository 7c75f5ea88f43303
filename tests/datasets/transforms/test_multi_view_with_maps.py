import numpy as np
import pytest
import torch
from mmengine.registry import TRANSFORMS, DefaultScope

from agssp_mm.datasets.transforms.multi_view_with_maps import MultiViewWithMaps
from agssp_mm.models.map_carriers import take_maps


@pytest.fixture(autouse=True)
def scope(request):
    DefaultScope.get_instance(request.node.name, scope_name='mmdet')


def image_and_map(size=40):
    """The map is the first channel of the image, so whatever moves both alike keeps them equal."""
    values = np.random.default_rng(0).integers(0, 256, (size, size), dtype=np.uint8)
    return dict(img=np.stack([values] * 3, axis=-1), gt_seg_map=values.astype(np.float32) / 255, img_shape=(size, size),
                img_path='one.png')


def build(*views, **more):
    return TRANSFORMS.build(dict(type='MultiViewWithMaps', transforms=list(views), **more))


def test_each_view_keeps_the_map_of_its_own_crop():
    np.random.seed(0)
    crop = [dict(type='RandomCrop', crop_size=(16, 16)), dict(type='RandomFlip', prob=0.5)]
    before = image_and_map()
    views = build(crop, [dict(type='RandomCrop', crop_size=(8, 8))], num_views=[2, 1])(image_and_map())
    assert [one.shape for one in views['img']] == [(16, 16, 3), (16, 16, 3), (8, 8, 3)]
    for image, one in zip(views['img'], views['gt_seg_map'], strict=True):
        assert one.dtype == np.float32
        assert np.array_equal(image[..., 0].astype(np.float32) / 255, one)
    assert not np.array_equal(views['img'][0], views['img'][1])
    assert views['img_shape'] == before['img_shape'] and views['img_path'] == 'one.png'


def test_packed_views_reach_the_carrier_of_the_asked_view():
    pack = TRANSFORMS.build(dict(type='mmpretrain.PackInputs', algorithm_keys=['gt_seg_map'], meta_keys=('img_path',)))
    views = build([dict(type='RandomCrop', crop_size=(16, 16))], num_views=2)(image_and_map())
    second = torch.from_numpy(np.ascontiguousarray(views['gt_seg_map'][1]))
    packed = pack(views)
    assert [tuple(one.shape) for one in packed['inputs']] == [(3, 16, 16)] * 2
    assert torch.equal(take_maps([packed['data_samples']], view=1)[0], second)


def test_a_transform_that_forgets_the_map_is_found():
    with pytest.raises(ValueError, match='view 1 has an image of 24x24 .* but a map of 40x40.*forgot the map'):
        build([], [dict(type='mmpretrain.RandomResizedCrop', scale=24)], num_views=[1, 1])(image_and_map())


def test_an_image_without_map_is_refused():
    with pytest.raises(KeyError, match='AnomalyMapGenerator right after the loading'):
        build([], num_views=2)(dict(img=np.zeros((4, 4, 3), np.uint8)))


@pytest.mark.parametrize('num_views', [0, [1, 1], []])
def test_views_and_pipelines_have_to_agree(num_views):
    with pytest.raises(ValueError, match='one positive number of views per pipeline'):
        MultiViewWithMaps([[]], num_views)


def test_a_view_that_asks_for_another_image_gets_one():
    assert MultiViewWithMaps([[], [lambda results: None]], [1, 1])(image_and_map()) is None
