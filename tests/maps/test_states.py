import numpy as np
import pytest
import torch

from agssp_mm.cli import run_command
from agssp_mm.commands import generate_maps as command
from agssp_mm.images import list_images
from agssp_mm.maps.generate import generate_maps
from agssp_mm.maps.states import load_state
from agssp_mm.maps.store import TEACHER_NAME, MapStore
from agssp_mm.teachers.texture import TextureTeacher


def test_a_teacher_fitted_on_one_folder_maps_another(image_folder, tmp_path):
    generate_maps(list_images(image_folder), TextureTeacher(), tmp_path / 'all')
    part = list_images(image_folder / 'deep')
    generate_maps(part, TextureTeacher(), tmp_path / 'own')
    arguments = [str(image_folder / 'deep'), str(tmp_path / 'taken'), '--fitted', str(tmp_path / 'all')]
    assert run_command(command, 'generate_maps.py', arguments) == 0
    taken, own, whole = (MapStore.open(tmp_path / name) for name in ('taken', 'own', 'all'))
    name = part[0].name
    assert np.isclose(taken.read_raw(name), whole.read_raw(f'deep/{name}'), rtol=0.02, atol=1e-3).mean() > 0.95
    assert not np.allclose(taken.read_raw(name), own.read_raw(name), rtol=0.02)
    learned = load_state(tmp_path / 'all')
    assert all(torch.equal(value, learned[key]) for key, value in load_state(tmp_path / 'taken').items())
    with pytest.raises(ValueError, match='made with another fitted'):  # the same store, fitted here
        generate_maps(part, TextureTeacher(), tmp_path / 'taken')


def test_what_is_no_state_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='no fitted state'):
        load_state(tmp_path)
    (tmp_path / TEACHER_NAME).write_bytes(b'nothing')
    with pytest.raises(ValueError, match='cannot be read safely'):
        load_state(tmp_path)
    torch.save([1, 2], tmp_path / 'list.pth')
    with pytest.raises(ValueError, match='tensors under names'):
        load_state(tmp_path / 'list.pth')
    torch.save({'a': torch.zeros(2)}, tmp_path / 'other.pth')
    with pytest.raises(ValueError, match='TextureTeacher needs finite tensors'):
        TextureTeacher().load_state_dict(load_state(tmp_path / 'other.pth'))
