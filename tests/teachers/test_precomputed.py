import cv2
import numpy as np
import pytest
from PIL import Image

from agssp_mm.images import list_images
from agssp_mm.maps.generate import generate_maps
from agssp_mm.maps.store import MapStore
from agssp_mm.teachers.base import NoMapError
from agssp_mm.teachers.ensemble import EnsembleTeacher
from agssp_mm.teachers.precomputed import PrecomputedTeacher
from agssp_mm.teachers.tiling import TiledTeacher

RAW = np.arange(12, dtype=np.float32).reshape(3, 4)


def put(path, values=RAW):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == '.npy':
        np.save(path, values)
    else:
        assert cv2.imwrite(str(path), values)
    return path


def read(folder, name, **settings):
    return PrecomputedTeacher(folder, **settings).predict([np.zeros((6, 8, 3), np.uint8)], names=[name])


@pytest.mark.parametrize('where', ['steel/a.npy', 'steel/a.jpg.npy', 'steel/a_anomaly_map.npy', 'a.npy',
                                   'steel/a_anomaly.npy',
                                   'results/Patchcore/v0/images/steel/a.npy'])
def test_layouts(tmp_path, where):
    put(tmp_path / where)
    maps, scores = read(tmp_path, 'steel/a.jpg')
    assert np.array_equal(maps[0], RAW) and maps[0].dtype == np.float32 and scores[0] == 11


@pytest.mark.parametrize('file, values', [
    ('a.png', RAW.astype(np.uint8)), ('a.png', (RAW * 999).astype(np.uint16)), ('a.tiff', RAW),
    ('a.tif', RAW.astype(np.uint8)),
    ('a.npy', RAW[None]), ('a.npy', RAW[None, None].astype(np.float64)), ('a.npy', RAW.astype(int)),
    ('a.png', np.repeat(RAW.astype(np.uint8)[..., None], 3, 2)),
])
def test_formats_keep_their_values(tmp_path, file, values):
    put(tmp_path / file, values)
    expected = values[..., 0] if values.shape[-1] == 3 else values.reshape(3, 4)
    assert read(tmp_path, 'a.jpg').maps[0] == pytest.approx(expected)


def test_the_nearest_place_wins_and_equal_ones_are_an_error(tmp_path):
    put(tmp_path / 'steel' / 'a.npy')
    put(tmp_path / 'x' / 'steel' / 'a.npy', RAW * 2)
    put(tmp_path / 'copper' / 'a.npy', RAW * 3)
    assert read(tmp_path, 'steel/a.jpg').maps[0][0, 1] == 1
    with pytest.raises(NoMapError, match='no map of tin/a.jpg'):
        read(tmp_path, 'tin/a.jpg')
    put(tmp_path / 'steel' / 'a_map.npy', RAW * 4)  # a name with an ending fits less well
    assert read(tmp_path, 'steel/a.jpg').maps[0][0, 1] == 1
    put(tmp_path / 'steel' / 'a.png', RAW.astype(np.uint8))
    with pytest.raises(NoMapError, match='several maps of steel/a.jpg'):
        read(tmp_path, 'steel/a.jpg')


def test_what_looks_like_an_ending_may_belong_to_the_name_of_the_image(tmp_path):
    put(tmp_path / 'c_heatmap.npy')
    put(tmp_path / 'a.npy', RAW * 2)
    put(tmp_path / 'a_map.npy', RAW * 3)
    assert [read(tmp_path, name).maps[0][0, 1] for name in ('c_heatmap.jpg', 'a.jpg', 'a_map.jpg')] == [1, 2, 3]


def test_an_archive_of_arrays_is_no_map(tmp_path):
    np.savez(tmp_path / 'a.npz', a=RAW)
    (tmp_path / 'a.npz').rename(tmp_path / 'a.npy')
    with pytest.raises(NoMapError, match='a.npy is an archive of arrays'):
        read(tmp_path, 'a.jpg')


def test_images_that_differ_by_suffix_keep_their_own_maps(tmp_path):
    put(tmp_path / 'a.jpg.npy')
    put(tmp_path / 'a.png.npy', RAW * 2)
    assert read(tmp_path, 'a.jpg').maps[0][0, 1] == 1 and read(tmp_path, 'a.png').maps[0][0, 1] == 2


@pytest.mark.parametrize('images', [('x/a.png', 'y/a.png'), ('a.jpg', 'a.png')])
@pytest.mark.parametrize('wrap', [lambda teacher: teacher, lambda teacher: EnsembleTeacher([teacher, 'texture'])])
def test_a_map_that_two_images_would_share_stops_the_run_before_the_first(tmp_path, images, wrap):
    put(tmp_path / 'maps' / 'a.npy')
    for name in images:
        put(tmp_path / 'images' / name, np.zeros((6, 8, 3), np.uint8))
    teacher = wrap(PrecomputedTeacher(tmp_path / 'maps', scale=1.0))
    with pytest.raises(ValueError, match=f'a.npy would be the map of {images[0]} and of {images[1]}; put each map'):
        generate_maps(list_images(tmp_path / 'images'), teacher, tmp_path / 'store')
    assert not (tmp_path / 'store').exists()
    for name in images:
        put(tmp_path / 'maps' / f'{name}.npy')
    summary = generate_maps(list_images(tmp_path / 'images'), PrecomputedTeacher(tmp_path / 'maps', scale=1.0),
                            tmp_path / 'store')
    assert summary.num_written == 2


@pytest.mark.parametrize('values, message', [
    (RAW - 5, 'finite and >= 0'), (RAW / np.float32(np.nan), 'finite and >= 0'), (RAW[0], r'shape \(4,\)'),
    (RAW.astype(complex), 'real numbers'), (np.zeros((2, 3, 4)), r'shape \(2, 3, 4\)'),
    (np.array([dict()]), 'cannot be read'),
])
def test_maps_that_cannot_be_used_are_named(tmp_path, values, message):
    np.save(tmp_path / 'a.npy', values, allow_pickle=True)
    with pytest.raises(NoMapError, match=f'a.npy.*{message}'):
        read(tmp_path, 'a.jpg')


def test_a_drawing_and_a_damaged_file_are_no_maps(tmp_path):
    put(tmp_path / 'a.png', np.random.default_rng(0).integers(0, 255, (3, 4, 3), dtype=np.uint8))
    with pytest.raises(NoMapError, match='colour picture'):
        read(tmp_path, 'a.jpg')
    (tmp_path / 'b.png').write_bytes(b'no picture')
    with pytest.raises(NoMapError, match='cannot be read'):
        read(tmp_path, 'b.jpg')


def test_bad_settings(tmp_path):
    with pytest.raises(FileNotFoundError, match='not a folder'):
        PrecomputedTeacher(tmp_path / 'nowhere')
    with pytest.raises(FileNotFoundError, match='no map in'):
        PrecomputedTeacher(tmp_path)
    put(tmp_path / 'a.npy')
    with pytest.raises(ValueError, match='scale must be'):
        PrecomputedTeacher(tmp_path, scale=0)
    with pytest.raises(ValueError, match='needs the name'):
        PrecomputedTeacher(tmp_path).predict([np.zeros((6, 8, 3), np.uint8)])
    with pytest.raises(ValueError, match='cannot be run on tiles'):
        TiledTeacher(PrecomputedTeacher(tmp_path), size='short')


def test_a_store_of_them_lists_images_without(image_folder, tmp_path):
    images = list_images(image_folder)
    for entry in images.entries[1:]:
        path = (tmp_path / 'maps' / entry.name).with_suffix('.tiff')
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 3), 0.25, np.float32)).save(path)
    summary = generate_maps(images, PrecomputedTeacher(tmp_path / 'maps', scale=1.0), tmp_path / 'store')
    store = MapStore.open(tmp_path / 'store')
    assert list(summary.skipped) == [images[0].name] and 'no map of' in summary.skipped[images[0].name]
    assert store.read(images[1].name) == pytest.approx(0.25, abs=1e-4)
