import hashlib
import json
import os
from pathlib import Path, PurePath

import pytest

from agssp_mm.images import list_images


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b'x')
    return folder


def test_folder_is_searched_and_other_files_are_counted(tmp_path):
    make(tmp_path, 'b.PNG', 'deep/er/a.jpg', 'notes.txt', '.hidden/c.png', '.d.png')
    images = list_images(tmp_path)
    assert [entry.name for entry in images] == ['b.PNG', 'deep/er/a.jpg']
    assert images.num_ignored == 2  # notes.txt and .d.png; hidden folders are not entered
    assert images.path(images[1]) == tmp_path / 'deep/er/a.jpg'


def test_text_list_and_coco_json_name_the_same_images(tmp_path):
    make(tmp_path / 'images', 'a.png', 'b/c.png', 'unlisted.png')
    (tmp_path / 'list.txt').write_text('b/c.png\n\na.png\na.png\n')
    (tmp_path / 'coco.json').write_text(json.dumps(
        dict(images=[dict(file_name='a.png', id=7), dict(file_name='b/c.png', id=8)], annotations=[{'label': 1}])))
    text, coco = (list_images(tmp_path / name, tmp_path / 'images') for name in ('list.txt', 'coco.json'))
    assert [entry.name for entry in text] == ['a.png', 'b/c.png']
    assert text.fingerprint() == coco.fingerprint()
    assert text.fingerprint() != list_images(tmp_path / 'images').fingerprint()


def test_names_of_find_are_those_of_the_folder(tmp_path):
    make(tmp_path, 'a/b.png', 'c.png')
    (tmp_path / 'list.txt').write_text('./a/b.png\n.//c.png\na/b.png\n')
    assert list_images(tmp_path / 'list.txt').fingerprint() == list_images(tmp_path).fingerprint()


def test_names_that_are_not_utf_8_are_listed(tmp_path):
    name = os.fsdecode(b'gr\xf6\xdfe.png')
    make(tmp_path, name)
    images = list_images(tmp_path)
    assert [entry.name for entry in images] == [name] and images.path(images[0]).is_file()
    assert images.fingerprint() == hashlib.sha256(b'images\0gr\xf6\xdfe.png\n').hexdigest()


def test_linked_folders_are_entered_once(tmp_path):
    make(tmp_path / 'disk', 'x.png', 'deep/y.png')
    make(tmp_path / 'mill', 'a.png')
    (tmp_path / 'mill' / 'line2').symlink_to(tmp_path / 'disk')
    (tmp_path / 'mill' / 'same').symlink_to(tmp_path / 'disk')
    (tmp_path / 'disk' / 'deep' / 'loop').symlink_to(tmp_path / 'mill')
    assert [entry.name for entry in list_images(tmp_path / 'mill')] == ['a.png', 'line2/deep/y.png', 'line2/x.png']


def test_no_link_hides_a_folder_that_lies_below(tmp_path):
    make(tmp_path, 'lines/a/0.png', 'lines/b/0.png', 'lines/b/deep/1.png')
    (tmp_path / 'LATEST').symlink_to(tmp_path / 'lines' / 'b')
    (tmp_path / 'lines' / '0').symlink_to(tmp_path)
    names = ['lines/a/0.png', 'lines/b/0.png', 'lines/b/deep/1.png']
    assert [entry.name for entry in list_images(tmp_path)] == names


def test_a_link_to_a_folder_below_the_root_has_the_names_of_that_folder(tmp_path):
    make(tmp_path / 'data' / 'mill', 'a.png')
    (tmp_path / 'link').symlink_to(tmp_path / 'data' / 'mill')
    images = list_images(tmp_path / 'link', tmp_path / 'data')
    assert [entry.name for entry in images] == ['mill/a.png'] and images.path(images[0]).is_file()


def test_folders_that_may_not_be_read_are_named(tmp_path, caplog, monkeypatch):
    make(tmp_path, 'a.png', 'lost+found/b.png')
    scan = os.scandir

    def refuse(path):  # the tests may run as root, who may read everything
        if str(path).endswith('lost+found'):
            raise PermissionError(13, 'Permission denied', str(path))
        return scan(path)

    monkeypatch.setattr(os, 'scandir', refuse)
    assert [entry.name for entry in list_images(tmp_path)] == ['a.png']
    assert '1 folders' in caplog.text and 'lost+found' in caplog.text


def test_lists_of_other_editors_and_files_that_are_no_lists(tmp_path):
    (tmp_path / 'a.png').write_bytes(b'\x89PNG')
    (tmp_path / 'list.txt').write_bytes(b'\xef\xbb\xbfa.png\r\n')
    assert [entry.name for entry in list_images(tmp_path / 'list.txt')] == ['a.png']
    with pytest.raises(ValueError, match='a.png is no text; give a folder'):
        list_images(tmp_path / 'a.png')


def test_sources_are_declared_by_folder_or_list(tmp_path):
    make(tmp_path, 'line1/a.png', 'line2/b.png', 'line2/c.png')
    (tmp_path / 'second.txt').write_text('line2/b.png\nline2/c.png\n')
    images = list_images(tmp_path, sources={'first': 'line1', 'second': tmp_path / 'second.txt'})
    assert [entry.source for entry in images] == ['first', 'second', 'second']
    assert images.sources == ('first', 'second')


@pytest.mark.parametrize('sources, message', [
    ({'first': 'line1'}, "1 of 2 images belong to no source, e.g. ['line2/b.png']"),
    ({'first': '.', 'second': 'line2'}, "line2/b.png belongs to the sources 'first' and 'second'"),
    ({'first': '.', 'second': 'empty'}, "no image belongs to the sources ['second']"),
])
def test_sources_that_do_not_fit_are_refused(tmp_path, sources, message):
    make(tmp_path, 'line1/a.png', 'line2/b.png')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError) as error:
        list_images(tmp_path, sources=sources)
    assert message in str(error.value)


def test_missing_and_empty_inputs_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere does not exist'):
        list_images(tmp_path / 'nowhere')
    with pytest.raises(ValueError, match='no image in .*1 other files found'):
        list_images(make(tmp_path / 'texts', 'a.txt'))
    (tmp_path / 'list.txt').write_text('a.png\nb.png\n')
    with pytest.raises(FileNotFoundError, match='none of the 2 images named in'):
        list_images(tmp_path / 'list.txt')
    (tmp_path / 'bad.json').write_text('{"pictures": []}')
    with pytest.raises(ValueError, match='is not a COCO JSON'):
        list_images(tmp_path / 'bad.json')
    with pytest.raises(FileNotFoundError, match="source 'x': gone is neither a sub-folder"):
        list_images(make(tmp_path / 'some', 'a.png'), sources={'x': 'gone'})


@pytest.mark.parametrize('name', ['../secret.png', '/etc/secret.png', '..\\secret.png', '{root}/../secret.png',
                                  '{root}2/secret.png'])
def test_names_that_leave_the_root_are_refused(tmp_path, name):
    (tmp_path / 'list.txt').write_text(name.format(root=tmp_path))
    with pytest.raises(ValueError, match=f'must be relative to the root and stay below it.*root is {tmp_path}.*--root'):
        list_images(tmp_path / 'list.txt')


@pytest.mark.parametrize('place', ['{root}/', '{link}/', '{root}/./x/../'])
def test_absolute_names_below_the_root_are_those_of_the_folder(tmp_path, place):
    make(tmp_path / 'data', 'a/b.png', 'c.png')
    (tmp_path / 'link').symlink_to(tmp_path / 'data')
    place = place.format(root=tmp_path / 'data', link=tmp_path / 'link')
    (tmp_path / 'list.txt').write_text(f'{place}a/b.png\n{place}c.png\n')
    (tmp_path / 'part.json').write_text(json.dumps(dict(images=[dict(file_name=f'{place}c.png')])))
    root = tmp_path / ('link' if 'link' in place else 'data')
    images = list_images(tmp_path / 'list.txt', root, dict(part=tmp_path / 'part.json', other='a'))
    assert [(entry.name, entry.source) for entry in images] == [('a/b.png', 'other'), ('c.png', 'part')]


def test_absolute_names_that_were_resolved(tmp_path):
    make(tmp_path / 'disk', 'c.png')
    (tmp_path / 'link').symlink_to(tmp_path / 'disk')
    (tmp_path / 'list.txt').write_text(f'{tmp_path / "disk" / "c.png"}\n')
    assert [entry.name for entry in list_images(tmp_path / 'list.txt', tmp_path / 'link')] == ['c.png']


def test_absolute_names_through_other_links_than_the_root(tmp_path, monkeypatch):
    make(tmp_path / 'disk' / 'data', 'a/b.png', 'a/c.png')
    (tmp_path / 'home').symlink_to(tmp_path / 'disk')
    monkeypatch.chdir(tmp_path / 'disk' / 'data')
    (tmp_path / 'disk' / 'data' / 'list.txt').write_text(''.join(
        f'{place}/data/a/{name}.png\n' for place, name in ((tmp_path / 'home', 'b'), (f'/{tmp_path / "disk"}', 'c'))))
    resolved, realpath = [], os.path.realpath
    monkeypatch.setattr(os.path, 'realpath', lambda path: resolved.append(path) or realpath(path))
    assert [entry.name for entry in list_images('list.txt')] == ['a/b.png', 'a/c.png']
    assert len(resolved) == 2  # the root and one folder


def test_long_paths_of_windows_are_looked_for_by_folder(tmp_path, monkeypatch):
    names = ['/'.join(['\u7ebf' * 80] * 3 + [f'{number}.png']) for number in range(40)]
    make(tmp_path, *names)
    (tmp_path / 'list.txt').write_text('\n'.join(name.replace('/', '\\') for name in [*names, f'{"x" * 300}/gone.png']))
    asked, exists = [], Path.exists
    monkeypatch.setattr(Path, 'exists', lambda path: asked.append(path) or exists(path))
    assert [entry.name for entry in list_images(tmp_path / 'list.txt')][1:] == sorted(names)
    assert len(asked) <= 4  # the list, the root and the one that is gone


def test_backslashes_part_folders_unless_they_stand_in_a_name(tmp_path):
    make(tmp_path, 'a/b.png', 'c\\d.png')
    (tmp_path / 'list.txt').write_text('.\\a\\b.png\nc\\d.png\n')
    assert [entry.name for entry in list_images(tmp_path / 'list.txt')] == ['a/b.png', 'c\\d.png']


@pytest.mark.parametrize('encoding, mark', [('utf-16-le', b'\xff\xfe'), ('utf-16-be', b'\xfe\xff')])
def test_lists_in_utf_16(tmp_path, encoding, mark):
    make(tmp_path, 'gr\xf6\xdfe.png')
    (tmp_path / 'list.txt').write_bytes(mark + 'gr\xf6\xdfe.png\r\n'.encode(encoding))
    assert [entry.name for entry in list_images(tmp_path / 'list.txt')] == ['gr\xf6\xdfe.png']
    (tmp_path / 'list.txt').write_bytes(mark + b'x')
    with pytest.raises(ValueError, match='is no text'):
        list_images(tmp_path / 'list.txt')


def test_folders_whose_names_begin_alike_are_sources_of_their_own(tmp_path):
    make(tmp_path, 'line1/a.png', 'line10/b.png', 'line1 /c.png')
    images = list_images(tmp_path, sources=dict(one='line1', ten=tmp_path / 'line10', blank='./line1 '))
    assert {entry.name: entry.source for entry in images} == {
        'line1/a.png': 'one', 'line10/b.png': 'ten', 'line1 /c.png': 'blank'}
    assert list_images(tmp_path, sources=dict(all='.')).sources == ('all', )


def test_paths_are_worked_out_by_folder_and_not_by_image(tmp_path, monkeypatch):
    """Otherwise a million images in the paper's 34 sources take eight minutes to list, at every start."""
    make(tmp_path, *(f'{folder}/{number}.png' for folder in 'abcde' for number in range(40)))
    calls, relpath = [], os.path.relpath
    monkeypatch.setattr(os.path, 'relpath', lambda *paths: calls.append(paths) or relpath(*paths))
    monkeypatch.setattr(PurePath, 'is_relative_to', lambda path, other: calls.append(path) or True)
    assert len(list_images(tmp_path, sources={folder: folder for folder in 'abcde'})) == 200
    assert len(calls) <= 20
