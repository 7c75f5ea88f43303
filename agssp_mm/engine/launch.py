"""Preparing an MMEngine run: the config file, the process group, mixed precision, scaled learning rates."""
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch.distributed as dist
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log

from .config_files import parse_config
from .walk import walk

# Rank, number of processes and rank on this machine, as each launcher calls them.
RANK_VARIABLES = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
}
_STARTERS = {'pytorch': 'torchrun (tools/dist_train.sh)', 'slurm': 'srun', 'mpi': 'mpirun'}
_SYNC_NORMS = ('SyncBN', 'MMSyncBN')
_SECONDS_TO_LET_GO = 0.5
_MIXED = ('AmpOptimWrapper', 'BFloat16OptimWrapper')


def load_config(path: str | Path, overrides: Mapping[str, Any] | None = None,
                work_dir: str | Path | None = None) -> Config:
    """Read a config file and settle where the run writes.

    Args:
        path: A .py, .yml, .yaml or .json config.
        overrides: Dotted keys and their values, as ``--cfg-options`` gives them.
        work_dir: Goes before the config's own ``work_dir``; where neither is given it is
            ``./work_dirs/<name of the config>``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no config, by its suffix or its content, or imports what cannot be imported.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'config: {path} is no file; give the path of a config')
    if path.suffix not in ('.py', '.yml', '.yaml', '.json'):
        raise ValueError(f'config: {path} ends in "{path.suffix}"; a config is a .py, .yml, .yaml or .json file')
    cfg = parse_config(path)
    cfg.merge_from_dict(dict(overrides or {}))
    cfg.work_dir = str(work_dir or cfg.get('work_dir') or Path('work_dirs') / path.stem)
    return cfg


def use_mixed_precision(cfg: Config) -> None:
    """Switch the optimizer wrapper to automatic mixed precision: float16 on an accelerator, bfloat16 on a CPU.

    Raises:
        ValueError: If the config has a wrapper that cannot be switched, or, on a CPU, a detector of two stages.
    """
    given = cfg.optim_wrapper.get('type', 'OptimWrapper')
    given = getattr(given, '__name__', str(given)).rsplit('.', 1)[-1]  # a name, a class or its path
    if given not in ('OptimWrapper', *_MIXED):
        raise ValueError(f'--amp switches OptimWrapper to {_MIXED[0]}, on a CPU to {_MIXED[1]}, but the config has '
                         f'{given}; set optim_wrapper.type in the config instead')
    if get_device() == 'cpu':
        if any(part.get(name) for part in walk(cfg.get('model')) for name in ('rpn_head', 'roi_head')):
            raise ValueError("--amp: on a CPU, mmcv's NMS and RoIAlign know no bfloat16, so detectors with an rpn_head "
                             'or roi_head cannot be trained in it; leave out --amp')
        cfg.optim_wrapper.type = _MIXED[1]
        for key in ('loss_scale', 'dtype', 'use_fsdp'):
            cfg.optim_wrapper.pop(key, None)
        return
    cfg.optim_wrapper.type = _MIXED[0]
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def scale_learning_rate(cfg: Config) -> None:
    """Let the runner scale the learning rate with the total batch size.

    Raises:
        ValueError: If the config does not say which batch size its learning rate was made for.
    """
    if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
        raise ValueError('--auto-scale-lr needs auto_scale_lr.base_batch_size in the config: the total batch size '
                         'that its learning rate was made for')
    cfg.auto_scale_lr.enable = True


def join_group(cfg: Config, launcher: str) -> None:
    """Tell the runner how it was launched; without a GPU, join the processes by gloo here.

    MMEngine picks a CUDA device whenever it makes the group itself, and hands DDP a device index. So on a CPU the
    group is made before the runner looks for one, DDP is given no device, and synchronised batch norms, which exist
    for GPUs only, become plain ones, as MMEngine does in runs of one process.

    Args:
        cfg: Changed in place.
        launcher: "none", "pytorch", "slurm" or "mpi".

    Raises:
        ValueError: If the launcher left no rank in the environment.
    """
    cfg.launcher = launcher
    if launcher == 'none':
        return
    missing = [name for name in RANK_VARIABLES[launcher] if name not in os.environ]
    if missing:
        raise ValueError(f'--launcher {launcher} needs {", ".join(missing)} in the environment; start the run by '
                         f'{_STARTERS[launcher]}, or use --launcher none')
    if get_device() != 'cpu':
        return
    _set_group_variables(launcher)
    if not dist.is_initialized():
        dist.init_process_group('gloo')
    replaced = _replace_sync_norms(cfg.get('model'))
    if replaced or cfg.pop('sync_bn', None):
        print_log(f'no GPU: {replaced or "all"} synchronised batch norms of the config became plain ones', 'current')
    wrapper = cfg.get('model_wrapper_cfg') or dict(
        type='MMDistributedDataParallel', broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False))
    cfg.model_wrapper_cfg = dict(wrapper, device_ids=None)


@contextmanager
def process_group(cfg: Config, launcher: str) -> Iterator[None]:
    """Be in the process group for as long as the block runs; arguments and errors as of :func:`join_group`.

    A process of NCCL that fails prints why and ends at once, without leaving the group: to leave it would wait for the
    other ranks, which wait in a collective for this one, and nobody would see the error
    (https://github.com/NVIDIA/nccl/issues/1777). Its death is what makes torchrun end the others.
    """
    join_group(cfg, launcher)
    try:
        yield
    except BaseException as error:
        if dist.is_initialized() and dist.get_backend() == 'nccl':
            traceback.print_exception(error)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(1)
        leave_group()
        raise
    leave_group()


@contextmanager
def class_counts_explained() -> Iterator[None]:
    """Make of the failed assertion of MMDetection's ``NumClassCheckHook`` an error of the settings.

    Raises:
        ValueError: In its place, with what to do.
    """
    try:
        yield
    except AssertionError as error:
        if '`num_classes`' not in str(error):
            raise
        raise ValueError(f'{error}; set num_classes of that head (e.g. model.bbox_head.num_classes) to the number of '
                         'classes of the data set, or give the data set the classes in metainfo.classes') from error


def leave_group() -> None:
    """Leave the process group, if one was joined."""
    if not dist.is_initialized():
        return
    # A thread of gloo still holds the tensors of the last collective, and needs Python's lock to let go of them.
    # Asleep, we give it the lock. Without that the group's end waits for the thread with the lock in hand (a
    # deadlock), or the thread asks for the lock while Python shuts down (an abort, one run in five on two cores).
    time.sleep(_SECONDS_TO_LET_GO)
    dist.destroy_process_group()


def _set_group_variables(launcher: str) -> None:
    for common, special in zip(RANK_VARIABLES['pytorch'], RANK_VARIABLES[launcher], strict=True):
        os.environ[common] = os.environ[special]
    os.environ.setdefault('MASTER_PORT', '29500')
    if 'MASTER_ADDR' not in os.environ:
        if launcher != 'slurm':
            raise ValueError(f'--launcher {launcher} needs MASTER_ADDR in the environment: the machine of rank 0')
        hosts = subprocess.run(['scontrol', 'show', 'hostnames', os.environ['SLURM_NODELIST']],
                               capture_output=True, text=True, check=True)
        os.environ['MASTER_ADDR'] = hosts.stdout.split()[0]


def _replace_sync_norms(part: Any) -> int:
    """Turn every synchronised batch norm in a nested config into a plain one; returns how many there were."""
    if isinstance(part, (list, tuple)):
        return sum(map(_replace_sync_norms, part))
    if not isinstance(part, dict):
        return 0
    count = 0
    if part.get('type') in _SYNC_NORMS:
        part['type'] = 'BN'
        count = 1
    return count + sum(map(_replace_sync_norms, part.values()))
