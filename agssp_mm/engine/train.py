"""Training what a config file describes, in this process or as one of several."""
import argparse
import sys
from itertools import count
from pathlib import Path

from mmengine.runner import Runner

from .launch import RANK_VARIABLES, class_counts_explained, load_config, process_group
from .resume import check_start, resume

_NUMBERS = count()


def train_config(path: str | Path, launcher: str = 'none') -> None:
    """Train what a config describes; an interrupted run in its ``work_dir`` is continued.

    MMEngine keeps loggers and visualizers by name for as long as the process lives; they are named after the folder
    of the run here and numbered, so that several runs of one process do not write into each other's, or into a folder
    that was deleted meanwhile.

    Args:
        path: Config file with a ``work_dir``.
        launcher: As of `agssp_mm.engine.launch.join_group`.

    Raises:
        FileNotFoundError: If the config, or a checkpoint it starts from, does not exist.
        ValueError: If the checkpoint fits too little of the model, or a hook refuses its settings.
    """
    cfg = load_config(path)
    cfg.experiment_name = f'{Path(path).stem}_{Path(cfg.work_dir).resolve()}_{next(_NUMBERS)}'
    if cfg.get('visualizer'):
        cfg.visualizer.name = cfg.experiment_name
    resume(cfg, 'auto')
    with process_group(cfg, launcher), class_counts_explained():
        check_start(cfg)
        Runner.from_cfg(cfg).train()


def main(arguments: list[str] | None = None) -> int:
    """Run `train_config` as a process of a group: ``torchrun -m agssp_mm.engine.train CONFIG --launcher pytorch``."""
    parser = argparse.ArgumentParser(prog='python -m agssp_mm.engine.train')
    parser.add_argument('config')
    parser.add_argument('--launcher', choices=('none', *RANK_VARIABLES), default='none')
    parsed = parser.parse_args(arguments)
    train_config(parsed.config, parsed.launcher)
    return 0


if __name__ == '__main__':
    sys.exit(main())
