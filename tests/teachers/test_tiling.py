"""Tiles cover images evenly, blend without seams and hold little in memory, under any teacher."""
import tracemalloc
from argparse import Namespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import TASK_UTILS

from agssp_mm.commands.options import build_teacher
from agssp_mm.teachers.base import AnomalyMaps, Teacher
from agssp_mm.teachers.ensemble import EnsembleTeacher
from agssp_mm.teachers.texture import TextureTeacher
from agssp_mm.teachers.tiling import TiledTeacher, Tiling, predict_tiled


class BlockMean(Teacher):
    """Map = mean of each of grid x grid blocks; score = mean of the image; remembers what it saw."""

    version = 3
    needs_fit = True
    calibration_scale = 255.0

    def __init__(self, grid=4):
        self.grid = grid
        self.batches, self.sizes, self.fitted = [], set(), []

    @property
    def settings(self):
        return dict(grid=self.grid)

    def fit(self, images):
        self.fitted = [sum(1 for _ in images), sum(1 for _ in images)]

    def predict(self, images):
        self.batches.append(len(images))
        self.sizes |= {image.shape for image in images}
        side = images[0].shape[0] // self.grid
        maps = [image[..., 0].astype(np.float32).reshape(self.grid, side, self.grid, side).mean((1, 3))
                for image in images]
        return AnomalyMaps(maps, np.array([image.mean() for image in images], dtype=np.float32))

    def state_dict(self):
        return dict(seen=torch.tensor(self.fitted))

    def load_state_dict(self, state):
        self.fitted = state['seen'].tolist()


@pytest.fixture(autouse=True)
def registered():
    TASK_UTILS.register_module(module=BlockMean, force=True)
    yield
    del TASK_UTILS.module_dict['BlockMean']


def ramp(height, width):
    """Brightness 2 per pixel to the right and 1 per pixel down."""
    values = np.arange(height)[:, None] + 2 * np.arange(width)[None]
    return np.repeat(values[..., None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize('length, side, overlap, starts', [
    (100, 100, 0.5, [0]), (250, 100, 0.25, [0, 75, 150]), (200, 100, 0, [0, 100]), (201, 100, 0, [0, 50, 101]),
    (3228, 492, 0.25, [0, 342, 684, 1026, 1368, 1710, 2052, 2394, 2736])])
def test_tiles_are_evenly_spread_inside_the_image(length, side, overlap, starts):
    assert Tiling(side, overlap).starts(length, side) == starts


@pytest.mark.parametrize('overlap', [0, 0.25, 0.6, 0.9])
def test_a_ramp_stays_a_ramp(overlap):
    """Linear brightness has the same map as without tiles, but for half a cell at the faded borders of tiles."""
    image = ramp(40, 80)
    tiled = TiledTeacher(BlockMean(), size=16, overlap=overlap).predict([image]).maps[0]
    whole = image[..., 0].astype(np.float32).reshape(10, 4, 20, 4).mean((1, 3))
    assert tiled.shape == (10, 20) and tiled.dtype == np.float32
    inner = np.abs(tiled - whole)[2:-2, 2:-2]
    assert inner.max() < 0.5  # from cell to cell, brightness rises by 4 and 8


def test_even_images_have_even_maps_of_their_own_shape():
    images = [np.full((37, 91, 3), 120, dtype=np.uint8), np.full((16, 16, 3), 30, dtype=np.uint8)]
    maps, scores = TiledTeacher(BlockMean(), size=16, batch_size=3).predict(images)
    assert maps[0].shape == (9, 23) and maps[1].shape == (4, 4)
    np.testing.assert_allclose(maps[0], 120, rtol=1e-6)
    np.testing.assert_allclose(maps[1], 30, rtol=1e-6)
    assert scores.tolist() == [120, 30] and scores.dtype == np.float32


def test_a_tile_that_is_the_image_changes_nothing():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    plain, tiled = BlockMean().predict([image]), TiledTeacher(BlockMean(), size='short').predict([image])
    np.testing.assert_allclose(tiled.maps[0], plain.maps[0], rtol=1e-6)
    assert tiled.scores == plain.scores


def test_a_defect_is_found_where_it_is_and_lifts_the_score():
    image = np.zeros((492, 3228, 3), dtype=np.uint8)
    image[123:246, 2500:2623] = 255
    maps, scores = TiledTeacher(BlockMean(), size='short').predict([image])
    assert maps[0].shape == (4, 26)  # 492 pixels are 4 cells, so 3228 are 26
    row, column = np.unravel_index(maps[0].argmax(), maps[0].shape)
    assert row == 1 and column == int(2561 / 3228 * 26)
    assert scores[0] > 10  # the mean of the tile that shows it, not of the image


def test_tiles_are_square_and_come_in_bounded_batches():
    teacher = BlockMean()
    TiledTeacher(teacher, size=16, overlap=0, batch_size=5).predict([ramp(32, 48), ramp(16, 32)])
    assert teacher.sizes == {(16, 16, 3)} and teacher.batches == [5, 3]


def test_owners_tell_whose_tile_it_is():
    seen = []

    def predict(tiles, owners):
        seen.extend(owners)
        return BlockMean().predict(tiles)

    predict_tiled(predict, [ramp(16, 32), ramp(16, 16)], Tiling(16, overlap=0))
    assert seen == [0, 0, 1]


def test_huge_images_need_little_memory():
    image = np.broadcast_to(np.uint8(90), (2000, 20000, 3))
    teacher = TiledTeacher(BlockMean(), size=480)
    tracemalloc.start()
    maps, _ = teacher.predict([image])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert maps[0].shape == (17, 167)
    assert peak < 40e6  # 16 tiles of 0.7 MB and their float copies; the image alone would be 120 MB


def test_fitting_sees_tiles_as_often_as_asked():
    teacher = BlockMean()
    TiledTeacher(teacher, size=16, overlap=0).fit([ramp(16, 32), ramp(16, 16)])
    assert teacher.fitted == [3, 3]


def test_the_members_of_a_tiled_ensemble_are_told_the_sources_in_the_fit():
    told = []

    class BySource(BlockMean):
        uses_sources = True

        def predict(self, images, sources=None):
            told.extend(sources)
            return super().predict(images)

    class Described(list):
        def described(self):
            return ((image, Namespace(source=source, name='')) for image, source in zip(self, 'ab', strict=True))

    noise = np.random.default_rng(0).integers(0, 255, (2, 32, 64, 3), np.uint8)
    ensemble = EnsembleTeacher([BySource(), 'texture'])
    TiledTeacher(ensemble, 'short', overlap=0.0).fit(Described(noise))
    assert told == ['a', 'a', 'b', 'b']


@pytest.mark.parametrize('wrap', [lambda inner: TiledTeacher(inner, 'short'), lambda inner: TiledTeacher(
    TiledTeacher(inner, 64, overlap=0), 'short')])
def test_normal_images_are_cut_as_the_others_are(tmp_path, wrap):
    rng = np.random.default_rng(0)
    strips = [np.repeat(rng.integers(90, 160, (64, 256, 1), dtype=np.uint8), 3, 2) for _ in range(2)]
    for number, strip in enumerate(strips):
        cv2.imwrite(str(tmp_path / f'{number}.png'), strip)
    by_itself, of_normals = wrap(TextureTeacher()), wrap(TextureTeacher(normals=str(tmp_path)))
    by_itself.fit(strips)
    of_normals.fit([np.full((64, 256, 3), 7, np.uint8)])
    for name, value in by_itself.state_dict().items():
        assert torch.allclose(value, of_normals.state_dict()[name]), name


def test_the_wrapped_teacher_shines_through():
    tiled = TASK_UTILS.build(dict(type='TiledTeacher', teacher=dict(type='BlockMean', grid=2), size=16, overlap=0.5))
    assert tiled.settings == dict(teacher=dict(type='BlockMean', grid=2), size=16, overlap=0.5, batch_size=16)
    assert (tiled.version, tiled.needs_fit, tiled.calibration_scale) == (2003, True, 255.0)
    assert TiledTeacher('BlockMean', size=16).settings['teacher'] == dict(type='BlockMean', grid=4)
    tiled.load_state_dict(dict(seen=torch.tensor([5, 6])))
    assert tiled.state_dict()['seen'].tolist() == [5, 6] and tiled.to('cpu') is tiled


def test_the_command_line_reaches_the_wrapped_teacher():
    options = {'teacher.type': 'BlockMean', 'teacher.grid': 2, 'size': 16}
    teacher = build_teacher(Namespace(teacher='tiled', teacher_options=options, device='cpu'))
    assert teacher.settings['teacher'] == dict(type='BlockMean', grid=2)


def test_an_image_smaller_than_the_tiles_has_tiles_of_its_shorter_side():
    smaller = TiledTeacher(BlockMean(), size=64).predict([ramp(106, 48)])
    short = TiledTeacher(BlockMean(), size='short').predict([ramp(106, 48)])
    np.testing.assert_array_equal(smaller.maps[0], short.maps[0])
    assert smaller.maps[0].shape == (9, 4)


@pytest.mark.parametrize('setting, message', [
    (4, "number of pixels from 8 on, or 'short', got 4"), ('long', "or 'short', got 'long'"),
    (dict(size=16, overlap=1.0), r'overlap of tiles must lie in \[0, 0.9\], got 1.0'),
    (dict(size=16, batch_size=0), 'batch_size of tiles must be'),
    (dict(overlap=0.2), 'tiles need a size and may have overlap and batch_size'),
    (dict(size=16, stride=3), 'tiles need a size and may have')])
def test_bad_settings_are_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        Tiling.of(setting)


def test_settings_have_several_forms():
    assert Tiling.of(None) is None
    assert Tiling.of(64) == Tiling.of(dict(size=64)) == Tiling.of(Tiling(64)) == Tiling(64, 0.25, 16)
