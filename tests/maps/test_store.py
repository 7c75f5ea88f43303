import json

import numpy as np
import pytest
from PIL import Image

from agssp_mm.images import list_images
from agssp_mm.maps.generate import generate_maps
from agssp_mm.maps.store import MapStore


@pytest.fixture
def store(image_folder, toy_teacher, tmp_path):
    generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'store', batch_size=4)
    return MapStore.open(tmp_path / 'store')


def test_maps_come_back_on_both_scales(store, image_folder):
    image = np.asarray(Image.open(image_folder / '03.png'))
    raw = store.read_raw('03.png')
    mean = np.mean([np.asarray(Image.open(path)).mean() for path in image_folder.rglob('*.png')])
    np.testing.assert_allclose(raw, np.abs(image[::4, ::4] - mean), rtol=2e-3, atol=0.02)
    np.testing.assert_allclose(store.read('03.png'), store.calibration.apply(raw), atol=1e-6)
    assert store.read('03.png').dtype == np.float32


def test_files_are_sixteen_bit_grey_and_mirror_the_names(store):
    with Image.open(store.path / 'deep' / '10.png.png') as image:
        assert (image.mode, image.size) == ('I;16', (6, 8))


def test_index_and_statistics(store):
    assert len(store.index) == 12 and store.index == sorted(store.index, key=lambda record: record.key)
    record = next(record for record in store.index if record.name == 'deep/11.png')
    assert (record.height, record.width, record.source) == (32, 24, 'images')
    assert record.peak == pytest.approx(store.read_raw('deep/11.png').max(), rel=2e-3)
    statistics = store.statistics['images']
    assert statistics.num_images == 12
    assert statistics.mean_peak == pytest.approx(np.mean([record.peak for record in store.index]))
    pooled = np.concatenate([store.read(record.name).ravel() for record in store.index])
    for name, value in statistics.quantiles.items():
        assert value == pytest.approx(np.quantile(pooled, float(name), method='inverted_cdf'), abs=1e-4)


def test_what_a_store_does_not_cover(store):
    store.meta['skipped'] = {'bad.png': 'no image'}
    assert store.not_covered(['new.png', '03.png', 'bad.png', 'a/03.png']) == ['new.png', 'a/03.png']


def test_missing_and_damaged_maps_are_named(store):
    with pytest.raises(KeyError, match='no anomaly map at .*other.png'):
        store.read('other.png')
    (store.path / '01.png.png').write_bytes(b'\x89PNG')
    with pytest.raises(ValueError, match='01.png.png is not a map of a map store'):
        store.read('01.png')
    Image.new('RGB', (4, 4)).save(store.path / '02.png.png')
    with pytest.raises(ValueError, match='02.png.png is not a map of a map store'):
        store.read('02.png')


def change_meta(store, **changes):
    (store.path / 'maps.json').write_text(json.dumps({**store.meta, **changes}))


@pytest.mark.parametrize('raw', [np.full((4, 4), np.nan, np.float32), np.full((4, 4), -1, np.float32)])
def test_a_map_that_is_none_is_not_written(store, raw):
    with pytest.raises(ValueError, match='the map of new.png is (not finite|negative)'):
        store.write('new.png', raw, 1.0, (4, 4))
    assert not store.map_path('new.png').exists()


def test_open_refuses_what_it_cannot_trust(store, tmp_path):
    with pytest.raises(FileNotFoundError, match='maps.json is missing; make one with tools/generate_maps.py'):
        MapStore.open(tmp_path)
    change_meta(store, complete=False)
    with pytest.raises(ValueError, match='is unfinished'):
        MapStore.open(store.path)
    assert MapStore.open(store.path, partial=True).calibration == store.calibration
    change_meta(store, format=99)
    with pytest.raises(ValueError, match='has format 99, this version reads format 1'):
        MapStore.open(store.path)
    (store.path / 'maps.json').write_text('{"format": 1')
    with pytest.raises(ValueError, match='maps.json is damaged'):
        MapStore.open(store.path)
