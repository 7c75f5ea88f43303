import json

import pytest

from agssp_mm.recipes.run_folder import RunFolder

SETTINGS = dict(image_size=256, teacher=dict(type='A'), classes=('a', 'b'))


def test_a_new_and_an_empty_folder(tmp_path):
    assert RunFolder(tmp_path / 'new').check(SETTINGS) is False
    assert not (tmp_path / 'new').exists()
    assert RunFolder(tmp_path).check(SETTINGS, resume=False) is False


def test_its_own_run_goes_on(tmp_path):
    folder = RunFolder(tmp_path / 'run')
    folder.claim(SETTINGS)
    assert json.loads((tmp_path / 'run' / 'pretrain.json').read_text())['classes'] == ['a', 'b']
    assert folder.check(SETTINGS) is True
    with pytest.raises(ValueError, match='holds this very run already'):
        folder.check(SETTINGS, resume=False)


def test_a_run_whose_record_does_not_say_of_which_maps_goes_on(tmp_path):
    folder = RunFolder(tmp_path / 'run')
    folder.claim(SETTINGS)
    assert folder.check(dict(SETTINGS, maps='digest')) is True
    folder.claim(dict(SETTINGS, maps='digest'))
    with pytest.raises(ValueError, match='another run .maps was "digest", now "other"'):
        folder.check(dict(SETTINGS, maps='other'))


def test_labels_may_change_and_are_remembered(tmp_path):
    folder, labels = RunFolder(tmp_path / 'run'), dict(classes=('a', 'b'), train_annotations='a.json')
    assert folder.claim(SETTINGS) is False
    assert folder.check(SETTINGS) and folder.labels is None
    assert folder.claim(SETTINGS, labels) is True
    again = RunFolder(tmp_path / 'run')
    assert again.check(SETTINGS) and again.labels == dict(classes=['a', 'b'], train_annotations='a.json')
    assert again.claim(SETTINGS, labels) is False
    assert again.claim(SETTINGS) is False and again.labels['classes'] == ['a', 'b']
    assert again.claim(SETTINGS, dict(labels, train_annotations='b.json')) is True


def test_other_runs_other_things_and_files_are_refused(tmp_path):
    folder = RunFolder(tmp_path / 'run')
    folder.claim(SETTINGS)
    with pytest.raises(ValueError, match=r'another run \(image_size was 256, now 320\)'):
        folder.check(dict(SETTINGS, image_size=320))
    (tmp_path / 'notes.txt').touch()
    with pytest.raises(ValueError, match='holds files of something else'):
        RunFolder(tmp_path).check(SETTINGS)
    with pytest.raises(ValueError, match='is a file'):
        RunFolder(tmp_path / 'notes.txt').check(SETTINGS)


@pytest.mark.parametrize('links', [True, False])
def test_what_a_stage_exported_goes_to_the_top(tmp_path, links, monkeypatch):
    if not links:
        monkeypatch.setattr('os.link', _no_link)
    folder = RunFolder(tmp_path)
    (tmp_path / 'agbp').mkdir()
    (tmp_path / 'agbp' / 'backbone.pth').write_bytes(b'weights')
    assert folder.take_up('agbp', 'backbone.pth').read_bytes() == b'weights'
    # the file that the log of the stage names stays
    assert (tmp_path / 'agbp' / 'backbone.pth').read_bytes() == b'weights'
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ['backbone.pth']
    assert (tmp_path / 'backbone.pth').samefile(tmp_path / 'agbp' / 'backbone.pth') is links


def _no_link(source, target):
    raise OSError('this disk has no links')
