"""Batches are decoded ahead in memory bounded by pixels, and cut where their own pixels say."""
import os
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
from PIL import Image

from agssp_mm.images import UnreadableImageError, ValueScaling
from agssp_mm.maps import decoding
from agssp_mm.maps.decoding import ImageReader, ReadableImages, decode_batches
from agssp_mm.maps.plan import UNREADABLE, PlannedImage


class Reader:
    """Makes black images of the size that their name gives, counting those that nobody has taken yet."""

    root = 'nowhere'

    def __init__(self):
        self.lock, self.made = threading.Lock(), 0

    def __call__(self, planned):
        if planned.name == 'bad':
            raise UnreadableImageError('bad: damaged')
        if planned.name == 'gone':
            raise FileNotFoundError(planned.name)
        with self.lock:
            self.made += 1
        height, width = map(int, planned.name.split('x'))
        return np.zeros((height, width, 3), np.uint8)


def plan(*names):
    return [PlannedImage('', name, 'images') for name in names]


def names_of(batches):
    return [[planned.name for planned in batch.planned] for batch in batches]


def test_batches_come_back_in_order_with_what_was_skipped():
    batches = [plan('4x4', 'bad', '4x5'), plan('gone'), plan('4x6')]
    found = list(decode_batches(batches, Reader()))
    assert names_of(found) == [['4x4', '4x5'], [], ['4x6']]
    assert [image.shape for image in found[0].images] == [(4, 4, 3), (4, 5, 3)]
    assert found[0].skipped == {'bad': 'bad: damaged'} and found[0].number == 3
    assert found[1].skipped == {'gone': 'the file does not exist below nowhere'}
    assert (found[0].lost, found[1].lost) == (set(), {'gone'})  # the one holds no image, the other was there before
    never = [PlannedImage(UNREADABLE, 'gone', 'images')]
    assert next(decode_batches([never], Reader())).lost == set()


def test_large_batches_are_cut_by_their_own_pixels(monkeypatch):
    monkeypatch.setattr(decoding, 'BATCH_PIXELS', 100)
    batch = plan('5x10', '5x10', '1x1', '20x20', '2x2', '9x9')
    cut = [['5x10', '5x10'], ['1x1'], ['20x20'], ['2x2', '9x9']]
    assert names_of(decode_batches([batch], Reader())) == cut
    assert names_of(decode_batches([plan('3x3'), batch, plan('1x1')], Reader())) == [['3x3'], *cut, ['1x1']]


def test_few_huge_images_and_many_small_ones_wait(monkeypatch):
    monkeypatch.setattr(decoding, '_AHEAD_PIXELS', 1000)
    for name, most in (('100x100', 3), ('10x10', 12)):
        reader, ahead = Reader(), []
        for taken, _ in enumerate(decode_batches([plan(name) for _ in range(40)], reader)):
            ahead.append(reader.made - taken)
        assert max(ahead) <= most  # the one taken, one that shows the batch is whole, and those ahead


def test_nothing_planned_nothing_decoded():
    assert list(decode_batches([], Reader())) == []


def test_readable_images_are_described(tmp_path):
    Image.new('L', (4, 3), 9).save(tmp_path / 'a.png')
    (tmp_path / 'b.png').write_bytes(b'')
    planned = plan('a.png', 'b.png', 'a.png')
    images = ReadableImages(planned, ImageReader(tmp_path, ValueScaling()), 'reading')
    assert len(images) == 3 and [image.mean() for image in images] == [9, 9]
    assert [facts for _, facts in images.described()] == [planned[0], planned[2]]


@pytest.mark.slow
def test_huge_images_run_in_bounded_memory(tmp_path):
    """Eight images of 20,000 x 2,000 pixels, batch size 8, in tiles; decoded together they are 960 MB."""
    (tmp_path / 'images').mkdir()
    generator = np.random.default_rng(0)
    for number in range(8):
        strip = generator.integers(100, 130, (2000, 2500), dtype=np.uint8)
        strip[900 + number:1000, 800:1000] = 220
        Image.fromarray(np.tile(strip, (1, 8))).save(tmp_path / 'images' / f'{number}.bmp')
    script = tmp_path / 'generate.py'
    script.write_text(textwrap.dedent('''
        import resource, sys, torch
        from agssp_mm.images import list_images
        from agssp_mm.maps.generate import generate_maps
        from agssp_mm.teachers.texture import TextureTeacher
        from agssp_mm.teachers.tiling import TiledTeacher
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        generate_maps(list_images(sys.argv[1]), TiledTeacher(TextureTeacher(), size='short'), sys.argv[2], batch_size=8)
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
    '''))
    result = subprocess.run([sys.executable, str(script), str(tmp_path / 'images'), str(tmp_path / 'store')],
                            capture_output=True, text=True, check=True, env={**os.environ, 'OMP_NUM_THREADS': '1'})
    assert int(result.stdout.split()[-1]) < 900  # MiB; a batch and as many again ahead would be 1,900
    with Image.open(tmp_path / 'store' / '0.bmp.png') as stored:
        assert stored.size == (1280, 128)  # tiles of 2,000 pixels are 128 cells of the teacher: its own grid
    assert (tmp_path / 'store' / '0.bmp.png').stat().st_size < 400_000


def test_images_that_a_teacher_is_fitted_on_are_read_ahead_and_in_order():
    """Two images are read at once: each waits for the other."""
    both = threading.Barrier(2, timeout=20)

    def read(planned):
        if planned.name not in ('0', '1'):  # nothing is read ahead before the size of the first is known
            both.wait()
        if planned.name == '4':
            raise UnreadableImageError('damaged')
        return np.full((2, 2, 3), int(planned.name), np.uint8)

    images = ReadableImages(plan(*map(str, range(10))), read, 'fitting')
    assert [(image[0, 0, 0], planned.name) for image, planned in images.described()] == [
        (number, str(number)) for number in range(10) if number != 4]
    assert (images.num_read, images.first_fault) == (9, '4: damaged')
