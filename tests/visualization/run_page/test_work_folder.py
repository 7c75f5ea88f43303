"""Which folders are runs, and where their parts lie."""
import pytest

from agssp_mm.visualization.run_page.work_folder import find_work_folder


def test_a_map_store(store):
    found = find_work_folder(store)
    assert (found.kind, found.store, found.image_root) == ('map store', store, None)


def test_a_work_dir_says_store_images_and_rule(work_dir, store, image_folder):
    found = find_work_folder(work_dir)
    assert (found.kind, found.store, found.image_root) == ('training', store, image_folder)
    assert found.rule == dict(type='ComponentTreeBoxRule', threshold=0.3)
    assert [stage.name for stage in found.stages] == ['agdp']
    assert found.problems == []


@pytest.mark.parametrize('name', ['names.txt', 'names.lst', 'NAMES.TXT', 'names'])
def test_names_of_a_list_are_relative_to_its_folder_whatever_its_ending(work_dir, store, image_folder, name):
    (image_folder.parent / name).write_text('')
    config = work_dir / '20260101_000000' / 'vis_data' / 'config.py'
    config.write_text(config.read_text().replace(repr(str(image_folder)), repr(str(image_folder.parent / name))))
    found = find_work_folder(work_dir)
    assert (found.images, found.image_root) == (image_folder.parent / name, image_folder.parent)


def test_a_config_that_cannot_be_read_is_a_problem_and_no_error(work_dir):
    (work_dir / '20260101_000000' / 'vis_data' / 'config.py').write_text('train_dataloader = dict(')
    found = find_work_folder(work_dir)
    assert [stage.name for stage in found.stages] == ['training']
    assert 'config.py cannot be read (SyntaxError' in found.problems[0]


def test_a_pretraining_that_was_stopped_early(tmp_path):
    (tmp_path / 'pretrain.json').write_text('{}')
    (tmp_path / 'agbp').mkdir()
    found = find_work_folder(tmp_path)
    assert (found.kind, found.weights) == ('pretraining', {})
    assert [stage.name for stage in found.stages] == ['agbp']
    assert [problem.split('/')[-1] for problem in found.problems] == ['agbp.py is missing', 'agdp.py is missing',
                                                                      'finetune.py is missing']


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r'is no folder of a run: it has neither maps.json \(a map store\), nor'):
        find_work_folder(tmp_path)
    (tmp_path / 'file').touch()
    with pytest.raises(ValueError, match='is a file; give the folder of a run'):
        find_work_folder(tmp_path / 'file')
    with pytest.raises(FileNotFoundError, match='there is no folder .*gone'):
        find_work_folder(tmp_path / 'gone')
