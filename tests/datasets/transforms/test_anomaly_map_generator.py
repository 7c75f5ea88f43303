import cv2
import numpy as np
import pytest
from mmengine.registry import TRANSFORMS

import agssp_mm  # noqa: F401
from agssp_mm.datasets.transforms.anomaly_map_generator import AnomalyMapGenerator
from agssp_mm.images import list_images, read_image
from agssp_mm.maps.generate import generate_maps
from agssp_mm.maps.store import MapStore
from agssp_mm.teachers.texture import TextureTeacher


@pytest.fixture
def store(image_folder, toy_teacher, tmp_path):
    generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'store')
    return str(tmp_path / 'store')


def results_of(folder, name):
    return dict(img_path=str(folder / name), img=read_image(folder / name))


def test_map_is_laid_beside_the_image(store, image_folder):
    results = AnomalyMapGenerator(store, str(image_folder))(results_of(image_folder, 'deep/10.png'))
    expected = cv2.resize(MapStore.open(store).read('deep/10.png'), (24, 32), interpolation=cv2.INTER_LINEAR)
    assert results['gt_seg_map'].dtype == np.float32
    np.testing.assert_array_equal(results['gt_seg_map'], expected)


@pytest.mark.parametrize('scope', ['mmdet', 'mmpretrain'])
def test_bare_name_resolves_and_map_moves_with_the_image(store, image_folder, scope):
    from mmengine.registry import DefaultScope
    DefaultScope.get_instance(f'map-{scope}', scope_name=scope)
    generator = TRANSFORMS.build(dict(type='AnomalyMapGenerator', store=store, image_root=str(image_folder)))
    results = generator(results_of(image_folder, '03.png'))
    before = results['gt_seg_map'].copy()
    for step in [dict(type='mmdet.RandomFlip', prob=1.0, direction='horizontal'),
                 dict(type='mmdet.Resize', scale_factor=2.0)]:
        results = TRANSFORMS.build(step)(results)
    assert results['gt_seg_map'].shape == results['img'].shape[:2] == (64, 48)
    np.testing.assert_array_equal(results['gt_seg_map'][::2, ::2], before[:, ::-1])


def test_missing_map_is_an_error_or_is_made(image_folder, tmp_path):
    store = tmp_path / 'store'
    generate_maps(list_images(image_folder), TextureTeacher(), store, batch_size=1)
    expected = (store / '05.png.png').read_bytes()
    (store / '05.png.png').unlink()
    with pytest.raises(KeyError, match='no anomaly map at .*05.png.png'):
        AnomalyMapGenerator(str(store), str(image_folder))(results_of(image_folder, '05.png'))
    made = AnomalyMapGenerator(str(store), str(image_folder), missing='generate')
    assert made(results_of(image_folder, '05.png'))['gt_seg_map'].shape == (32, 24)
    assert (store / '05.png.png').read_bytes() == expected


def test_a_map_of_another_size_is_refused(store, image_folder):
    results = results_of(image_folder, '00.png')
    results['img'] = results['img'][:16]
    with pytest.raises(ValueError, match='00.png has 16x24 pixels .* made from 32x24: load the map before any resize'):
        AnomalyMapGenerator(store, str(image_folder))(results)


def test_images_elsewhere_and_unknown_settings_are_refused(store, image_folder, tmp_path):
    generator = AnomalyMapGenerator(store, str(image_folder / 'deep'))
    with pytest.raises(ValueError, match='does not lie below image_root'):
        generator(results_of(image_folder, '00.png'))
    with pytest.raises(ValueError, match="""missing must be "error" or "generate", got 'skip'"""):
        AnomalyMapGenerator(store, str(image_folder), missing='skip')
    with pytest.raises(FileNotFoundError, match='no map store at'):
        AnomalyMapGenerator(str(tmp_path / 'nowhere'), str(image_folder))
