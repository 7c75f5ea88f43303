"""The files by which OpenMMLab's `mim` finds configs."""
import importlib.util
import shutil
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location('model_index_tool', ROOT / 'tools' / 'model_index.py')
TOOL = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOOL)
FOLDERS = TOOL.config_folders(ROOT)
WAY_OUT = 'run python tools/model_index.py'


def read(path):
    return yaml.safe_load(path.read_text())


def test_the_index_names_the_metafile_of_every_folder_of_configs():
    assert ROOT / 'configs' / 'demo' in FOLDERS and len(FOLDERS) >= 5
    named = read(ROOT / 'model-index.yml')['Import']
    assert sorted(named) == sorted(f'{folder.relative_to(ROOT).as_posix()}/metafile.yml' for folder in FOLDERS), WAY_OUT


@pytest.mark.parametrize('folder', FOLDERS, ids=lambda folder: folder.name)
def test_a_metafile_names_every_config_of_its_folder_and_no_other(folder):
    content = read(folder / 'metafile.yml')
    assert [one['Paper'] for one in content['Collections']] == [TOOL.PAPER]
    configs = [model['Config'] for model in content['Models']]
    assert sorted(configs) == sorted(path.relative_to(ROOT).as_posix() for path in folder.glob('*.py')), WAY_OUT
    for model in content['Models']:
        assert model['Name'] == Path(model['Config']).stem
        assert model['In Collection'] == content['Collections'][0]['Name']


def test_names_are_unique_because_mim_goes_by_them():
    names = [model['Name'] for folder in FOLDERS for model in read(folder / 'metafile.yml')['Models']]
    assert len(names) == len(set(names))


def test_the_parser_of_openmim_reads_all_of_it(monkeypatch):
    from modelindex.load_model_index import load
    monkeypatch.chdir(ROOT)
    index = load('model-index.yml')
    models = {model.name: model for model in index.models}
    assert models['rtmdet_tiny_agdp'].config == 'configs/agssp/rtmdet_tiny/rtmdet_tiny_agdp.py'
    collections = {one.name: one for one in index.collections}
    parts = collections[models['rtmdet_tiny_agdp'].in_collection].metadata.architecture
    assert parts[:2] == ['RTMDet', 'CSPNeXt']
    assert len(models) == sum(len(list(folder.glob('*.py'))) for folder in FOLDERS)


def test_the_tool_keeps_what_is_there_and_adds_what_is_missing(tmp_path):
    source = ROOT / 'configs'
    shutil.copytree(source / '_base_', tmp_path / 'configs' / '_base_')
    folder = tmp_path / 'configs' / 'agssp' / 'yolox_s'
    shutil.copytree(source / 'agssp' / 'yolox_s', folder)
    content = read(folder / 'metafile.yml')
    content['Models'][0]['Results'] = ['measured']
    lost = content['Models'].pop()
    (folder / 'metafile.yml').write_text(yaml.safe_dump(content))
    TOOL.write_all(tmp_path)
    written = read(folder / 'metafile.yml')
    assert written['Models'] == [*content['Models'], lost]
    (folder / 'metafile.yml').unlink()
    TOOL.write_all(tmp_path)
    assert [model['Name'] for model in read(folder / 'metafile.yml')['Models']] == [
        'yolox_s_agbp', 'yolox_s_agdp', 'yolox_s_agdp_paper', 'yolox_s_agdp_round2', 'yolox_s_finetune']
    assert read(tmp_path / 'model-index.yml') == dict(Import=['configs/agssp/yolox_s/metafile.yml'])
