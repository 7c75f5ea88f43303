import errno
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from agssp_mm.images import list_images, read_image
from agssp_mm.maps import decoding, finish, generate, single_writer
from agssp_mm.maps.generate import generate_maps
from agssp_mm.maps.store import MapStore
from agssp_mm.teachers.base import AnomalyMaps
from agssp_mm.teachers.texture import TextureTeacher


def content(store):
    """Bytes of every file of a store that a reader sees, by relative path."""
    return {path.relative_to(store).as_posix(): path.read_bytes() for path in sorted(Path(store).rglob('*'))
            if path.is_file()}


def test_names_and_folders_never_reach_the_maps(image_folder, toy_teacher, tmp_path):
    generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'a', batch_size=5)
    renamed = {}
    for number, path in enumerate(sorted(image_folder.rglob('*.png'), reverse=True)):
        target = tmp_path / 'renamed' / f'defect{number % 3}' / f'{number}.png'
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        renamed[path.relative_to(image_folder).as_posix()] = target.relative_to(tmp_path / 'renamed').as_posix()
    generate_maps(list_images(tmp_path / 'renamed'), toy_teacher, tmp_path / 'b', batch_size=5)
    first, second = MapStore.open(tmp_path / 'a'), MapStore.open(tmp_path / 'b')
    for name, other in renamed.items():
        assert first.map_path(name).read_bytes() == second.map_path(other).read_bytes()
    assert first.statistics == second.statistics and first.calibration == second.calibration
    assert [renamed[record.name] for record in first.index] == [record.name for record in second.index]


def test_a_started_store_is_continued_to_the_same_bytes(image_folder, toy_teacher, tmp_path):
    images = list_images(image_folder)
    generate_maps(images, toy_teacher, tmp_path / 'whole', batch_size=4)
    generate_maps(images, toy_teacher, tmp_path / 'broken', batch_size=4)
    expected = content(tmp_path / 'whole')
    assert content(tmp_path / 'broken') == expected
    for name in ['02.png.png', 'deep/10.png.png']:
        (tmp_path / 'broken' / name).unlink()
    toy_teacher.batches.clear()
    fits = toy_teacher.num_fits
    summary = generate_maps(images, toy_teacher, tmp_path / 'broken', batch_size=4)
    assert content(tmp_path / 'broken') == expected
    assert (summary.num_written, summary.num_existing) == (2, 10)
    assert toy_teacher.num_fits == fits and sum(toy_teacher.batches) in (4, 8)  # only the batches with a gap


def test_a_killed_run_ends_with_the_same_store(image_folder, tmp_path):
    script = tmp_path / 'generate.py'
    script.write_text(textwrap.dedent('''
        import sys, time
        import numpy as np
        from agssp_mm.images import list_images
        from agssp_mm.maps.generate import generate_maps
        from agssp_mm.teachers.base import AnomalyMaps, Teacher

        class SlowTeacher(Teacher):
            version, settings = 1, {}
            def predict(self, images):
                time.sleep(float(sys.argv[3]))
                maps = [np.abs(i[::4, ::4, 0] - i.mean()).astype(np.float32) for i in images]
                return AnomalyMaps(maps, np.array([m.max() for m in maps], np.float32))

        generate_maps(list_images(sys.argv[1]), SlowTeacher(), sys.argv[2], batch_size=2)
    '''))

    def command(store, delay):
        return [sys.executable, str(script), str(image_folder), str(store), str(delay)]

    killed = subprocess.Popen(command(tmp_path / 'killed', 0.3))
    deadline = time.monotonic() + 60
    while not list((tmp_path / 'killed').rglob('*.png.png')) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert 0 < len(list((tmp_path / 'killed').rglob('*.png.png'))) < 12
    (tmp_path / 'killed' / '.writing-left').write_bytes(b'half a map')
    for store in ['killed', 'whole']:
        subprocess.run(command(tmp_path / store, 0), check=True)
    assert content(tmp_path / 'killed') == content(tmp_path / 'whole')


def test_two_ranks_write_the_same_store(image_folder, tmp_path):
    script = tmp_path / 'ranks.py'
    script.write_text(textwrap.dedent('''
        import argparse, os, pathlib, sys
        import agssp_mm.commands.generate_maps as command
        from agssp_mm.maps.store import MapStore
        write, written = MapStore.write, []
        MapStore.write = lambda self, name, *args: written.append(name) or write(self, name, *args)
        parser = argparse.ArgumentParser()
        command.add_arguments(parser)
        status = command.run(parser.parse_args(sys.argv[1:]))
        pathlib.Path(sys.argv[0]).with_name(f"rank{os.environ.get('RANK', '')}.txt").write_text(' '.join(written))
        sys.exit(status)
    '''))
    arguments = ['--teacher', 'texture', '--batch-size', '2']
    subprocess.run([sys.executable, str(script), str(image_folder), str(tmp_path / 'one'), *arguments], check=True)
    subprocess.run([sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2',
                    str(script), str(image_folder), str(tmp_path / 'two'), *arguments],
                   check=True, env={**os.environ, 'OMP_NUM_THREADS': '1'})
    assert content(tmp_path / 'two') == content(tmp_path / 'one')
    first, second, alone = ((tmp_path / f'rank{rank}.txt').read_text().split() for rank in (0, 1, ''))
    assert first and second and sorted(first + second) == sorted(alone) and len(alone) == 12


def test_a_rank_that_is_held_up_takes_part_in_every_meeting(image_folder, tmp_path):
    """It looks for the store once: later it would find the one that the first rank has just begun."""
    script = tmp_path / 'late.py'
    script.write_text(textwrap.dedent('''
        import os, sys, time
        from datetime import timedelta
        import torch.distributed as dist
        from agssp_mm.engine.launch import leave_group
        from agssp_mm.images import list_images
        from agssp_mm.maps import prepare
        from agssp_mm.maps.generate import generate_maps
        from agssp_mm.teachers.texture import TextureTeacher

        def late_barrier(barrier=prepare.barrier):
            barrier()
            if os.environ['RANK'] == '1':
                deadline = time.monotonic() + 30
                while not os.path.exists(os.path.join(sys.argv[2], 'maps.json')) and time.monotonic() < deadline:
                    time.sleep(0.05)

        prepare.barrier = late_barrier
        dist.init_process_group('gloo', timeout=timedelta(seconds=60))
        generate_maps(list_images(sys.argv[1]), TextureTeacher(), sys.argv[2])
        leave_group()
    '''))
    subprocess.run([sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2', str(script),
                    str(image_folder), str(tmp_path / 's')], check=True, env={**os.environ, 'OMP_NUM_THREADS': '1'})
    assert len(MapStore.open(tmp_path / 's').index) == 12


def test_bad_images_are_skipped_and_listed(image_folder, toy_teacher, tmp_path):
    (image_folder / 'empty.png').write_bytes(b'')
    (image_folder / 'text.jpg').write_text('no image')
    (tmp_path / 'list.txt').write_text(''.join(
        f'{path.relative_to(image_folder)}\n' for path in image_folder.rglob('*.*')) + 'gone.png\n')
    images = list_images(tmp_path / 'list.txt', image_folder)
    summary = generate_maps(images, toy_teacher, tmp_path / 'store', batch_size=4)
    assert summary.num_written == 12 and set(summary.skipped) == {'empty.png', 'text.jpg', 'gone.png'}
    assert 'empty (0 bytes)' in summary.skipped['empty.png']
    store = MapStore.open(tmp_path / 'store')
    assert store.skipped == summary.skipped and len(store.index) == 12
    assert 'skipped gone.png: the file does not exist' in str(summary)


@pytest.fixture
def many(tmp_path):
    """30 tiny images."""
    (tmp_path / 'many').mkdir()
    for number in range(30):
        cv2.imwrite(str(tmp_path / 'many' / f'{number:02}.png'), np.full((8, 8), number, np.uint8))
    return list_images(tmp_path / 'many')


class FlakyDisk:
    """Reads images, of which some fail for some time."""

    def __init__(self, monkeypatch, fails):
        self.fails, self.num_read = fails, 0
        monkeypatch.setattr(decoding, 'RETRIES', (0.0, 0.0))
        monkeypatch.setattr(decoding, 'read_image', self.read)

    def read(self, path, value_range):
        self.num_read += 1
        if self.fails(path):
            raise OSError(errno.ESTALE, 'Stale file handle')
        return read_image(path, value_range)


def test_a_disk_that_goes_away_ends_the_run_and_the_store_goes_on_later(many, toy_teacher, tmp_path, monkeypatch):
    """Otherwise the pretraining would go on with a fraction of the set."""
    generate_maps(many, toy_teacher, tmp_path / 'undisturbed', batch_size=4)
    disk = FlakyDisk(monkeypatch, lambda path: disk.num_read > 70)  # after the fit, the calibration and ten maps
    with pytest.raises(OSError, match=r'1\d images below .*many that could be opened when the run began cannot be any '
                                      r'more, e.g. \d\d.png: .*Stale.* disk or network share still there'):
        generate_maps(many, toy_teacher, tmp_path / 's', batch_size=4)
    store = MapStore.open(tmp_path / 's', partial=True)
    assert not store.meta['complete'] and 0 < len(list(store.path.glob('*.png.png'))) <= 19
    disk.fails = lambda path: False
    generate_maps(many, toy_teacher, tmp_path / 's', batch_size=4)
    assert content(tmp_path / 's') == content(tmp_path / 'undisturbed')


def test_faults_that_pass_are_waited_for(many, toy_teacher, tmp_path, monkeypatch):
    failed = set()
    FlakyDisk(monkeypatch, lambda path: not (path in failed or failed.add(path)))  # each image once
    assert generate_maps(many, toy_teacher, tmp_path / 's').skipped == {} and len(failed) == 30


def test_few_lost_images_are_skipped_and_tried_again(many, toy_teacher, tmp_path, monkeypatch):
    disk = FlakyDisk(monkeypatch, lambda path: path.name == '07.png')
    assert list(generate_maps(many, toy_teacher, tmp_path / 's').skipped) == ['07.png']
    disk.fails = lambda path: False
    summary = generate_maps(many, toy_teacher, tmp_path / 's')
    assert (summary.num_written, summary.skipped) == (1, {})
    assert 'lost' not in MapStore.open(tmp_path / 's').meta


def test_a_whole_store_is_not_gone_through_again(image_folder, toy_teacher, tmp_path, monkeypatch):
    (image_folder / 'empty.png').write_bytes(b'')
    first = generate_maps(list_images(image_folder), toy_teacher, tmp_path / 's', batch_size=4)
    expected = content(tmp_path / 's')
    toy_teacher.batches.clear()
    monkeypatch.setattr(finish, 'read_map', lambda path: pytest.fail(f'{path} is read again'))
    again = generate_maps(list_images(image_folder), toy_teacher, tmp_path / 's', batch_size=4)
    assert not toy_teacher.batches and content(tmp_path / 's') == expected
    assert (again.num_written, again.num_existing, again.skipped) == (0, 12, first.skipped)
    monkeypatch.undo()
    (tmp_path / 's' / 'index.jsonl').unlink()
    generate_maps(list_images(image_folder), toy_teacher, tmp_path / 's', batch_size=4)
    assert content(tmp_path / 's') == expected
    (image_folder / 'empty.png').write_bytes((image_folder / '00.png').read_bytes())  # mended
    mended = generate_maps(list_images(image_folder), toy_teacher, tmp_path / 's', batch_size=4)
    assert (mended.num_written, mended.skipped) == (1, {}) and len(MapStore.open(tmp_path / 's').index) == 13


@pytest.mark.parametrize('raw, reason', [
    (np.full((4, 4), np.nan, np.float32), 'not finite everywhere'),
    (np.full((4, 4), -1, np.float32), 'negative somewhere'),
    (np.zeros((4, 4, 1), np.float32), r'not two-dimensional \(shape \(4, 4, 1\)\)'),
])
def test_maps_that_are_none_are_refused(image_folder, toy_teacher, tmp_path, raw, reason):
    toy_teacher.calibration_scale = 2.0
    toy_teacher.predict = lambda images: AnomalyMaps([raw] * len(images), np.zeros(len(images)))
    with pytest.raises(ValueError, match=f'none of the 12 images got an anomaly map, e.g. 00.png: .*{reason}'):
        generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'store')


def test_a_store_of_something_else_is_refused(image_folder, toy_teacher, tmp_path):
    images = list_images(image_folder)
    generate_maps(images, toy_teacher, tmp_path / 'store', batch_size=4)
    toy_teacher.gain = 2.0
    with pytest.raises(ValueError, match=r"made with another teacher(.|\n)*'gain': 1.0(.|\n)*'gain': 2.0"):
        generate_maps(images, toy_teacher, tmp_path / 'store', batch_size=4)
    toy_teacher.gain = 1.0
    with pytest.raises(ValueError, match='made with another batch_size'):
        generate_maps(images, toy_teacher, tmp_path / 'store', batch_size=3)
    (image_folder / '00.png').rename(image_folder / 'new.png')
    with pytest.raises(ValueError, match='made with another images'):
        generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'store', batch_size=4)


def test_an_unreadable_set_stops_before_the_first_map(tmp_path, toy_teacher):
    (tmp_path / 'images').mkdir()
    (tmp_path / 'images' / 'a.png').write_bytes(b'')
    images = list_images(tmp_path / 'images')
    with pytest.raises(ValueError, match=r'none of the 1 images .* can be read; PNG.* a.png: .*empty \(0 bytes\)'):
        generate_maps(images, TextureTeacher(), tmp_path / 'store')
    toy_teacher.fit = lambda images: setattr(toy_teacher, 'mean', 0.0)
    with pytest.raises(ValueError, match='none of the 1 images of the calibration sample .* can be read'):
        generate_maps(images, toy_teacher, tmp_path / 'store')
    assert not (tmp_path / 'store' / 'maps.json').exists()


def test_a_start_that_failed_leaves_nothing_that_a_later_one_trusts(image_folder, toy_teacher, tmp_path):
    with pytest.raises(ValueError, match='8 bits'):
        generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'store', value_percentiles=(1, 99))
    (image_folder / 'added.png').write_bytes((image_folder / '00.png').read_bytes() + b' ')
    summary = generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'store')
    assert summary.num_images == summary.num_written == 13
    assert 'added.png' in {record.name for record in MapStore.open(tmp_path / 'store').index}


def test_a_store_of_other_images_of_the_same_names_is_refused(image_folder, toy_teacher, tmp_path):
    generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'store')
    names = [entry.name for entry in list_images(image_folder)]
    for number, name in enumerate(names[:7]):
        (image_folder / name).write_bytes((image_folder / names[-1]).read_bytes() + bytes(number))
        if number == 5:  # half of them may have been replaced
            generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'store')
    with pytest.raises(ValueError, match=r'7 of 12 images .* other images of the same names'):
        generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'store')


def test_a_store_inside_the_image_folder_is_no_part_of_the_images(image_folder, toy_teacher):
    for _ in range(2):
        summary = generate_maps(list_images(image_folder), toy_teacher, image_folder / 'maps')
        assert summary.num_images == 12


def test_a_name_too_long_for_its_map_is_skipped(image_folder, toy_teacher, tmp_path):
    name, longest = 'x' * 248 + '.png', 'x' * 247 + '.png'
    for path in (name, longest):
        (image_folder / path).write_bytes(next(image_folder.rglob('*.png')).read_bytes())
    summary = generate_maps(list_images(image_folder), toy_teacher, tmp_path / 's')
    assert list(summary.skipped) == [name] and 'more than 251 bytes' in summary.skipped[name]
    assert MapStore.open(tmp_path / 's').read(longest).ndim == 2


def test_names_that_are_not_utf_8_have_maps(image_folder, tmp_path):
    name = os.fsdecode(b'gr\xf6\xdfe.png')
    (image_folder / name).write_bytes(next(image_folder.rglob('*.png')).read_bytes())
    (image_folder / os.fsdecode(b'le\xe9r.png')).write_bytes(b'')
    printed = subprocess.run([sys.executable, '-c', 'import agssp_mm.cli; agssp_mm.cli.main()', 'generate-maps',
                              image_folder, tmp_path / 's'],
                             capture_output=True, text=True, check=True).stdout
    assert MapStore.open(tmp_path / 's').read(name).ndim == 2
    assert r'le\udce9r.png' in printed


def test_the_folder_of_the_images_is_no_store(image_folder, toy_teacher):
    with pytest.raises(ValueError, match='is the folder of the images; give a folder of its own'):
        generate_maps(list_images(image_folder), toy_teacher, image_folder)


def test_a_folder_of_some_of_the_images_is_no_store(image_folder, toy_teacher):
    inside = image_folder / 'good'
    inside.mkdir()
    shutil.copy(next(image_folder.rglob('*.png')), inside / 'a.png')
    (image_folder / 'goods').mkdir()
    names = [entry.name for entry in list_images(image_folder)]
    with pytest.raises(ValueError, match='good is a folder of images, e.g. good/a.png, .*; give a folder of its own'):
        generate_maps(list_images(image_folder), toy_teacher, inside)
    generate_maps(list_images(image_folder), toy_teacher, image_folder / 'goods')
    assert [entry.name for entry in list_images(image_folder)] == names


def test_a_file_is_no_store(image_folder, toy_teacher, tmp_path):
    (tmp_path / 'store').write_text('')
    with pytest.raises(ValueError, match='store is a file; give the path of a folder'):
        generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'store')


def test_maps_that_a_power_cut_left_empty_are_made_again(image_folder, toy_teacher, tmp_path):
    generate_maps(list_images(image_folder), toy_teacher, tmp_path / 's')
    store = MapStore.open(tmp_path / 's')
    expected = {record.name: store.map_path(record.name).read_bytes() for record in store.index}
    broken = list(expected)[:3]
    for name, left in zip(broken, (0, 5, 60), strict=True):
        store.map_path(name).write_bytes(expected[name][:left])
    assert generate_maps(list_images(image_folder), toy_teacher, store.path).num_written == 3
    assert {name: store.map_path(name).read_bytes() for name in expected} == expected


def test_two_runs_on_one_store_are_kept_apart(image_folder, toy_teacher, tmp_path):
    class Nested(type(toy_teacher)):
        def fit(self, images):
            abandoned.touch()
            super().fit(images)

        def predict(self, images):
            with pytest.raises(ValueError, match='another run is writing to the map store .*s; wait for its end'):
                generate_maps(list_images(image_folder), toy_teacher, tmp_path / 's')
            assert abandoned.exists()  # it is not known whose it is
            return super().predict(images)

    abandoned = tmp_path / 's' / '.writing-x'
    teacher = Nested()
    generate_maps(list_images(image_folder), teacher, tmp_path / 's')
    generate_maps(list_images(image_folder), teacher, tmp_path / 's')  # the lock is gone with its run
    assert not abandoned.exists()


@pytest.mark.parametrize('number', [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_file_systems_without_locks_have_stores_too(image_folder, toy_teacher, tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, 'no locks')

    monkeypatch.setattr(single_writer.fcntl, 'flock', refuse)
    assert generate_maps(list_images(image_folder), toy_teacher, tmp_path / 's').num_written == 12


def test_progress_of_long_runs_is_shown_in_a_log_too(image_folder, toy_teacher, tmp_path, capfd, monkeypatch):
    generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'short')
    assert capfd.readouterr().err == ''
    monkeypatch.setattr(generate, '_SECONDS_BETWEEN_LINES', 0.0)  # as if half a minute had passed
    generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'store')
    shown = capfd.readouterr().err
    assert 'anomaly maps: 100%' in shown and '12/12' in shown
