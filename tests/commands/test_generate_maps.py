import socket
from datetime import timedelta

import torch
import torch.distributed as dist

from agssp_mm.cli import main
from agssp_mm.commands import generate_maps
from agssp_mm.engine.launch import leave_group
from agssp_mm.teachers.texture import TextureTeacher


def test_ranks_wait_for_one_that_fits_a_teacher_for_hours(monkeypatch):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    for name, value in dict(RANK=0, WORLD_SIZE=1, LOCAL_RANK=0, MASTER_ADDR='127.0.0.1', MASTER_PORT=port).items():
        monkeypatch.setenv(name, str(value))
    try:
        generate_maps._join_group()
        backend = dist.group.WORLD._get_backend(torch.device('cpu'))
        assert backend.options._timeout == timedelta(days=7)
    finally:
        leave_group()


def test_a_device_that_is_not_there_is_told_before_anything_is_written(image_folder, tmp_path, capsys):
    assert main(['generate-maps', str(image_folder), str(tmp_path / 'store'), '--device', 'cuda:99']) == 2
    error = capsys.readouterr().err.splitlines()
    assert error[-1].startswith("agssp generate-maps: error: device: 'cuda:99' cannot be used here")
    assert not (tmp_path / 'store').exists()


def test_a_rank_has_its_device_before_the_teacher_goes_there(image_folder, tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr(generate_maps, '_join_group', lambda: order.append('device of the rank'))
    monkeypatch.setattr(generate_maps, 'build_teacher', lambda args: order.append('teacher') or TextureTeacher())
    assert main(['generate-maps', str(image_folder), str(tmp_path / 's'), '--launcher', 'pytorch']) == 0
    assert order == ['device of the rank', 'teacher']
