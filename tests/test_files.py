import os

import pytest

from agssp_mm.files import existing, write_atomically


def test_content_appears_whole_and_readable_by_others(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('old')
    with write_atomically(path) as file:
        file.write(b'new')
        file.flush()
        assert path.read_text() == 'old'
    assert path.read_text() == 'new' and os.listdir(tmp_path) == ['a.txt']
    (tmp_path / 'plain').touch()
    assert path.stat().st_mode == (tmp_path / 'plain').stat().st_mode


def test_an_error_leaves_the_old_content_and_nothing_else(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('old')
    with pytest.raises(RuntimeError), write_atomically(path) as file:
        file.write(b'half')
        raise RuntimeError
    assert path.read_text() == 'old' and os.listdir(tmp_path) == ['a.txt']


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / 'a').mkdir()
    with pytest.raises(IsADirectoryError, match='a is a folder; give the path of a file'), \
            write_atomically(tmp_path / 'a'):
        pass
    assert os.listdir(tmp_path) == ['a']


def test_an_error_is_told_though_the_temporary_file_is_gone(tmp_path):
    with pytest.raises(ValueError, match='the real one'), write_atomically(tmp_path / 'a.txt'):
        for path in tmp_path.iterdir():
            path.unlink()
        raise ValueError('the real one')


def test_names_are_looked_for_by_listing_each_folder_once(tmp_path, monkeypatch):
    names = [f'{folder}/{number}.png' for folder in ('a', 'a/b') for number in range(9)] + ['top.png']
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    asked = []
    monkeypatch.setattr(os, 'stat', lambda *args, **kwargs: asked.append(args) or pytest.fail('asked for one name'))
    assert existing(tmp_path, [*names, 'a/gone.png', 'c/0.png', 'a/0.png/x.png']) == set(names)
