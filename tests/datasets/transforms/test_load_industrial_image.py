"""The loader of the tools as a transform: same values, same scaling, in the pipelines of both frameworks."""
import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from mmengine.registry import DATASETS, TRANSFORMS, DefaultScope

import agssp_mm  # noqa: F401
from agssp_mm.datasets.pseudo_box_dataset import PseudoBoxDataset
from agssp_mm.datasets.transforms.anomaly_map_generator import AnomalyMapGenerator
from agssp_mm.datasets.transforms.load_industrial_image import LoadIndustrialImage
from agssp_mm.images import UnreadableImageError, list_images, read_image
from agssp_mm.maps.generate import generate_maps
from agssp_mm.maps.store import MapStore
from agssp_mm.teachers.texture import TextureTeacher


@pytest.fixture
def deep_folder(tmp_path):
    """Twelve-bit values in 16-bit files: four images of a dark source, four of a bright one, 32x24 pixels each."""
    folder = tmp_path / 'deep'
    generator = np.random.default_rng(3)
    for source, offset in (('dark', 100), ('bright', 2000)):
        (folder / source).mkdir(parents=True)
        for number in range(4):
            image = generator.integers(offset, offset + 1000, (32, 24), dtype=np.uint16)
            cv2.imwrite(str(folder / source / f'{number}.png'), image)
    return folder


def load(transform, path):
    return transform(dict(img_path=str(path)))


@pytest.mark.parametrize('name', ['03.png', 'deep/10.png'])
def test_eight_bit_images_come_as_from_mmcv(image_folder, name):
    ours, theirs = load(LoadIndustrialImage(), image_folder / name), load(LoadImageFromFile(), image_folder / name)
    assert ours.keys() == theirs.keys()
    np.testing.assert_array_equal(ours['img'], theirs['img'])
    assert ours['img'].dtype == np.uint8 and ours['img_shape'] == ours['ori_shape'] == (32, 24)
    as_float = load(LoadIndustrialImage(to_float32=True), image_folder / name)['img']
    assert as_float.dtype == np.float32
    np.testing.assert_array_equal(as_float, ours['img'])


def test_a_fixed_range_scales_deep_images(deep_folder):
    deep = cv2.imread(str(deep_folder / 'dark/0.png'), cv2.IMREAD_UNCHANGED)
    image = load(LoadIndustrialImage(value_range=(0, 4095)), deep_folder / 'dark/0.png')['img']
    np.testing.assert_array_equal(image[..., 1], np.rint(deep * (255 / 4095)))
    full = load(LoadIndustrialImage(), deep_folder / 'dark/0.png')['img']
    np.testing.assert_array_equal(full[..., 2], np.rint(deep / 257))


def test_the_range_of_a_store_is_that_of_its_maps(deep_folder, toy_teacher, tmp_path):
    generate_maps(list_images(deep_folder), toy_teacher, tmp_path / 'store', value_percentiles=(1, 99))
    scaling = MapStore.open(tmp_path / 'store').scaling
    image = load(LoadIndustrialImage(store=str(tmp_path / 'store')), deep_folder / 'bright/2.png')['img']
    np.testing.assert_array_equal(image, read_image(deep_folder / 'bright/2.png', scaling.of('images')))
    assert image.min() == 0 or image.max() == 255


def test_sources_with_their_own_ranges_are_told_by_the_root(deep_folder, toy_teacher, tmp_path):
    images = list_images(deep_folder, sources=dict(dark='dark', bright='bright'))
    store = str(tmp_path / 'store')
    generate_maps(images, toy_teacher, store, value_percentiles=(1, 99))
    transform = LoadIndustrialImage(store=store, image_root=str(deep_folder))
    for source in ('dark', 'bright'):
        expected = read_image(deep_folder / source / '1.png', MapStore.open(store).scaling.of(source))
        np.testing.assert_array_equal(load(transform, deep_folder / source / '1.png')['img'], expected)
    message = r"scales the grey values of its sources \['bright', 'dark'\] differently; give"
    with pytest.raises(ValueError, match=message):
        LoadIndustrialImage(store=store)
    with pytest.raises(ValueError, match='does not lie below image_root'):
        load(transform, tmp_path / 'elsewhere.png')


@pytest.mark.parametrize('scope, last', [('mmdet', dict(type='PackDetInputs')),
                                         ('mmpretrain', dict(type='PackInputs'))])
def test_pipelines_of_both_frameworks_take_it(deep_folder, scope, last):
    DefaultScope.get_instance(f'industrial-{scope}', scope_name=scope)
    steps = [dict(type='LoadIndustrialImage', value_range=(100, 1100)), dict(type='Resize', scale=(48, 64)), last]
    results = dict(img_path=str(deep_folder / 'dark/0.png'), img_id=0)
    for step in steps:
        results = TRANSFORMS.build(step)(results)
    expected = cv2.resize(read_image(deep_folder / 'dark/0.png', (100, 1100)), (48, 64))
    np.testing.assert_array_equal(results['inputs'].numpy(), expected.transpose(2, 0, 1))
    assert results['data_samples'].ori_shape == (32, 24)


def test_missing_maps_are_made_from_the_recorded_range(deep_folder, tmp_path):
    store = tmp_path / 'store'
    generate_maps(list_images(deep_folder), TextureTeacher(), store, batch_size=1, value_percentiles=(1, 99))
    expected = (store / 'dark/1.png.png').read_bytes()
    for loader in (LoadImageFromFile(), LoadIndustrialImage(store=str(store), to_float32=True)):
        (store / 'dark/1.png.png').unlink()
        generator = AnomalyMapGenerator(str(store), str(deep_folder), missing='generate')
        generator(load(loader, deep_folder / 'dark/1.png'))
        assert (store / 'dark/1.png.png').read_bytes() == expected


def test_a_file_that_went_bad_is_left_out_of_training_and_listed(image_folder, toy_teacher, tmp_path, capsys):
    generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'store')
    for name in ('03.png', 'deep/10.png'):
        content = (image_folder / name).read_bytes()
        (image_folder / name).write_bytes(content[:len(content) // 2])
    dataset = DATASETS.build(dict(
        type='PseudoBoxDataset', images=str(image_folder), store=str(tmp_path / 'store'), rule=None,
        pipeline=[dict(type='LoadIndustrialImage'), dict(type='mmdet.PackDetInputs')]))
    shown = {dataset[index]['data_samples'].img_path for index in range(12)}
    assert len(dataset) == 12 and not any(path.endswith(('03.png', '10.png')) for path in shown)
    reported = capsys.readouterr()
    for text in ('03.png: damaged or truncated image', '10.png: damaged or truncated image', 'left out, 2 so far'):
        assert (reported.out + reported.err).count(text) == 1


def test_testing_stops_at_a_bad_file(image_folder, toy_teacher, tmp_path):
    generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'store')
    (image_folder / '03.png').write_bytes(b'')
    dataset = PseudoBoxDataset(str(image_folder), str(tmp_path / 'store'), test_mode=True,
                               pipeline=[dict(type='LoadIndustrialImage')])
    with pytest.raises(Exception, match='should not get `None`'):
        for index in range(12):
            dataset[index]


def test_bad_input_is_refused(image_folder, tmp_path):
    (image_folder / '03.png').write_bytes(b'no image')
    with pytest.raises(UnreadableImageError, match='03.png: not an image'):
        load(LoadIndustrialImage(skip_corrupt=False), image_folder / '03.png')
    with pytest.raises(FileNotFoundError, match='gone.png'):
        load(LoadIndustrialImage(), image_folder / 'gone.png')
    with pytest.raises(ValueError, match='value_range must be .low, high. with low < high'):
        LoadIndustrialImage(value_range=[9, 3])
    with pytest.raises(ValueError, match='both given; the range comes from one of them'):
        LoadIndustrialImage(value_range=(0, 9), store='maps')
    with pytest.raises(FileNotFoundError, match='no map store at'):
        LoadIndustrialImage(store=str(tmp_path / 'nowhere'))
