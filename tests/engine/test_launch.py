import os
import socket

import pytest
import torch.distributed as dist
from mmengine.config import Config
from mmengine.optim import OptimWrapper

from agssp_mm.engine import launch


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / 'small.py'
    path.write_text("optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))")
    return path


@pytest.fixture
def one_process(monkeypatch):
    """What torchrun would leave in the environment of a single process; the group is left afterwards."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    for name in [name for names in launch.RANK_VARIABLES.values() for name in names]:
        monkeypatch.delenv(name, raising=False)
    for name, value in dict(RANK=0, WORLD_SIZE=1, LOCAL_RANK=0, MASTER_ADDR='127.0.0.1', MASTER_PORT=port).items():
        monkeypatch.setenv(name, str(value))
    yield monkeypatch
    launch.leave_group()


@pytest.mark.parametrize('content, given, work_dir', [
    ('', None, 'work_dirs/small'),
    ("\nwork_dir = 'of_config'", None, 'of_config'),
    ("\nwork_dir = 'of_config'", 'given', 'given'),
])
def test_load_config_settles_the_work_dir(config_file, content, given, work_dir):
    config_file.write_text(config_file.read_text() + content)
    assert launch.load_config(config_file, work_dir=given).work_dir == work_dir


def test_load_config_merges_dotted_overrides(config_file):
    cfg = launch.load_config(config_file, {'optim_wrapper.optimizer.lr': 0.5})
    assert cfg.optim_wrapper.optimizer == dict(type='SGD', lr=0.5)


@pytest.mark.parametrize('content, message', [
    ('model = dict(', 'config: .*small.py is no config that MMEngine can read'),
    ('x = 1 / 0', 'config: .*small.py is no config that MMEngine can read .ZeroDivisionError: division by zero'),
    ("custom_imports = dict(imports=['no_such_package'])", 'a module that .*small.py imports cannot be imported'),
])
def test_load_config_says_what_is_wrong(config_file, content, message):
    config_file.write_text(content)
    with pytest.raises(ValueError, match=message):
        launch.load_config(config_file)


@pytest.mark.parametrize('head', ['rpn_head', 'roi_head'])
def test_mixed_precision_on_a_cpu_has_no_second_stage(monkeypatch, config_file, head):
    cfg = launch.load_config(config_file)
    cfg.model = dict(type='Wrapper', detector={head: dict(type='Head')})
    monkeypatch.setattr(launch, 'get_device', lambda: 'cuda')
    launch.use_mixed_precision(cfg)
    monkeypatch.setattr(launch, 'get_device', lambda: 'cpu')
    launch.use_mixed_precision(Config(dict(cfg, model=dict(rpn_head=None))))
    with pytest.raises(ValueError, match='with an rpn_head or roi_head cannot be trained in it; leave out --amp'):
        launch.use_mixed_precision(cfg)


def test_mixed_precision(monkeypatch, config_file):
    cfg = launch.load_config(config_file)
    monkeypatch.setattr(launch, 'get_device', lambda: 'cuda')
    launch.use_mixed_precision(cfg)
    assert cfg.optim_wrapper == dict(type='AmpOptimWrapper', optimizer=dict(type='SGD', lr=0.1), loss_scale='dynamic')
    monkeypatch.setattr(launch, 'get_device', lambda: 'cpu')
    launch.use_mixed_precision(cfg)
    assert cfg.optim_wrapper == dict(type='BFloat16OptimWrapper', optimizer=dict(type='SGD', lr=0.1))
    for kind in (OptimWrapper, 'mmengine.optim.optimizer.optimizer_wrapper.OptimWrapper'):  # of configs with imports
        cfg.optim_wrapper.type = kind
        launch.use_mixed_precision(cfg)
        assert cfg.optim_wrapper.type == 'BFloat16OptimWrapper'
    cfg.optim_wrapper.type = 'ApexOptimWrapper'
    with pytest.raises(ValueError, match='the config has ApexOptimWrapper'):
        launch.use_mixed_precision(cfg)


def test_scaling_the_learning_rate_needs_a_base_batch_size():
    cfg = Config(dict(auto_scale_lr=dict(base_batch_size=16, enable=False)))
    launch.scale_learning_rate(cfg)
    assert cfg.auto_scale_lr.enable is True
    with pytest.raises(ValueError, match='auto_scale_lr.base_batch_size'):
        launch.scale_learning_rate(Config(dict(auto_scale_lr=dict(enable=False))))


def test_one_process_without_a_launcher_joins_nothing():
    cfg = Config(dict(model=dict(norm_cfg=dict(type='SyncBN'))))
    launch.join_group(cfg, 'none')
    assert cfg.launcher == 'none'
    assert cfg.model.norm_cfg.type == 'SyncBN'
    assert not dist.is_initialized()


def test_without_a_gpu_the_group_is_gloo_and_ddp_gets_no_device(one_process):
    one_process.setattr(launch, 'get_device', lambda: 'cpu')
    cfg = Config(dict(find_unused_parameters=True, model=dict(
        backbone=dict(norm_cfg=dict(type='SyncBN', eps=1e-3)), heads=[dict(norm_cfg=dict(type='GN')),
                                                                      dict(norm_cfg=dict(type='MMSyncBN'))])))
    launch.join_group(cfg, 'pytorch')
    assert dist.get_backend() == 'gloo'
    assert cfg.launcher == 'pytorch'
    assert cfg.model_wrapper_cfg == dict(type='MMDistributedDataParallel', broadcast_buffers=False,
                                         find_unused_parameters=True, device_ids=None)
    assert cfg.model.backbone.norm_cfg == dict(type='BN', eps=1e-3)
    assert [head.norm_cfg.type for head in cfg.model.heads] == ['GN', 'BN']


def test_a_wrapper_of_the_config_stays_but_for_the_device(one_process):
    one_process.setattr(launch, 'get_device', lambda: 'cpu')
    cfg = Config(dict(model_wrapper_cfg=dict(type='MMDistributedDataParallel', static_graph=True)))
    launch.join_group(cfg, 'pytorch')
    assert cfg.model_wrapper_cfg == dict(type='MMDistributedDataParallel', static_graph=True, device_ids=None)


def test_with_a_gpu_the_runner_makes_the_group(one_process):
    one_process.setattr(launch, 'get_device', lambda: 'cuda')
    cfg = Config(dict(model=dict(norm_cfg=dict(type='SyncBN'))))
    launch.join_group(cfg, 'pytorch')
    assert not dist.is_initialized()
    assert 'model_wrapper_cfg' not in cfg
    assert cfg.model.norm_cfg.type == 'SyncBN'


@pytest.mark.parametrize('launcher', ['pytorch', 'slurm', 'mpi'])
def test_a_launcher_that_left_no_rank_is_named(one_process, launcher):
    for name in launch.RANK_VARIABLES['pytorch']:
        one_process.delenv(name, raising=False)
    with pytest.raises(ValueError, match=f'--launcher {launcher} needs {launch.RANK_VARIABLES[launcher][0]}, '):
        launch.join_group(Config(dict()), launcher)


def test_slurm_ranks_and_its_first_machine_become_the_groups(one_process, tmp_path):
    one_process.setattr(launch, 'get_device', lambda: 'cpu')
    # No cluster here: a stand-in answers for Slurm's host list.
    scontrol = tmp_path / 'scontrol'
    scontrol.write_text('#!/bin/sh\n[ "$3" = "node[1-2]" ] && printf "127.0.0.1\\nnode2\\n"\n')
    scontrol.chmod(0o755)
    one_process.setenv('PATH', f'{tmp_path}{os.pathsep}{os.environ["PATH"]}')
    one_process.delenv('MASTER_ADDR')
    for name in launch.RANK_VARIABLES['pytorch']:
        one_process.setenv(name, '7')
    for name, value in zip(launch.RANK_VARIABLES['slurm'], '010', strict=True):
        one_process.setenv(name, value)
    one_process.setenv('SLURM_NODELIST', 'node[1-2]')
    launch.join_group(Config(dict()), 'slurm')
    assert [os.environ[name] for name in (*launch.RANK_VARIABLES['pytorch'], 'MASTER_ADDR')] == [
        '0', '1', '0', '127.0.0.1']
    assert dist.get_world_size() == 1


def test_mpi_needs_to_be_told_the_machine_of_rank_0(one_process):
    one_process.setattr(launch, 'get_device', lambda: 'cpu')
    for name, value in zip(launch.RANK_VARIABLES['mpi'], '010', strict=True):
        one_process.setenv(name, value)
    one_process.delenv('MASTER_ADDR')
    with pytest.raises(ValueError, match='MASTER_ADDR'):
        launch.join_group(Config(dict()), 'mpi')


def test_a_group_is_left_with_its_block(one_process):
    one_process.setattr(launch, 'get_device', lambda: 'cpu')
    with launch.process_group(Config(dict()), 'pytorch'):
        assert dist.is_initialized()
    assert not dist.is_initialized()
    with pytest.raises(ValueError, match='wrong'), launch.process_group(Config(dict()), 'pytorch'):
        raise ValueError('wrong')
    assert not dist.is_initialized()


def test_a_rank_of_nccl_that_fails_says_why_and_ends_without_waiting_for_others(monkeypatch, capfd):
    """Leaving the group would wait for ranks that wait for this one."""
    def end(status):
        raise SystemExit(status)

    monkeypatch.setattr(launch, 'join_group', lambda cfg, launcher: None)
    monkeypatch.setattr(launch.dist, 'is_initialized', lambda: True)
    monkeypatch.setattr(launch.dist, 'get_backend', lambda: 'nccl')
    monkeypatch.setattr(launch.dist, 'destroy_process_group', lambda: pytest.fail('waits for the others'))
    monkeypatch.setattr(launch.os, '_exit', end)
    with pytest.raises(SystemExit) as ended, launch.process_group(Config(dict()), 'pytorch'):
        raise RuntimeError('out of memory')
    assert ended.value.code == 1 and 'RuntimeError: out of memory' in capfd.readouterr().err
