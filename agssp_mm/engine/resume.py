"""Which checkpoint a run starts or goes on from."""
import argparse
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from agssp_mm.checkpoints.reading import read_checkpoint

_REPORT = 'LoadReportHook'


def find_checkpoint(work_dir: str | Path) -> Path | None:
    """The newest whole checkpoint of a run, or None.

    MMEngine writes checkpoints in place, and a file that names the last of them: a run killed meanwhile leaves half
    a checkpoint, or the name of one it had just deleted. Both are passed over here.

    Args:
        work_dir: Folder of the run.
    """
    work_dir = Path(work_dir)
    found = {path for pattern in ('epoch_*.pth', 'iter_*.pth') for path in work_dir.glob(pattern)}
    pointer = work_dir / 'last_checkpoint'
    if pointer.is_file() and (named := pointer.read_text().strip()):
        found.add(Path(named))
    # A checkpoint is a ZIP archive, whose directory stands at its end: half a file has none.
    whole = [path for path in found if path.is_file() and zipfile.is_zipfile(path)]
    return max(whole, key=lambda path: path.stat().st_mtime_ns, default=None)


def resume(cfg: Config, checkpoint: str) -> None:
    """Make a run go on from a checkpoint.

    Args:
        cfg: Changed in place. Where "auto" finds nothing to go on from, the run starts as the config says, its
            ``load_from`` included.
        checkpoint: A checkpoint of the run, or "auto": the newest one in ``cfg.work_dir``.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
    """
    if checkpoint != 'auto':
        if not Path(checkpoint).is_file():
            raise FileNotFoundError(f'--resume: {checkpoint} is no file; give a checkpoint, or "auto" for the newest '
                                    f'one in {cfg.work_dir}')
        cfg.load_from, cfg.resume = checkpoint, True
        return
    newest = find_checkpoint(cfg.work_dir)
    if newest is None:
        print_log(f'nothing to resume in {cfg.work_dir}; starting anew', 'current')
        cfg.resume = False
        return
    cfg.load_from, cfg.resume = str(newest), True


def check_start(cfg: Config, trust: bool = False, strict: bool = False, allow_partial: bool = False) -> None:
    """Read what a run loads, before MMEngine, which would unpickle what it cannot read otherwise, and see to it that
    the run reports what it loads.

    Args:
        cfg: Changed in place: it gets a LoadReportHook where it has none, and the hook these settings.
        trust: Let MMEngine unpickle the file.
        strict: Every tensor has to fit.
        allow_partial: Any share of the tensors is enough.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is no checkpoint, or needs unpickling and is not trusted, or if `strict` and `allow_partial`
            are both set.
    """
    if strict and allow_partial:
        raise ValueError('--strict wants every tensor and --allow-partial any: give one of them')
    hooks = list(cfg.get('custom_hooks') or [])
    if not any(_is_report(hook) for hook in hooks):
        hooks.append(dict(type=_REPORT))
    wanted = {name: True for name, is_set in (('trust_checkpoint', trust), ('strict', strict),
                                              ('allow_partial', allow_partial)) if is_set}
    cfg.custom_hooks = [dict(hook, **wanted) if _is_report(hook) else hook for hook in hooks]
    if cfg.get('load_from'):
        read_checkpoint(cfg.load_from, trust)


def add_load_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how exactly a checkpoint has to fit, and whether it may be unpickled."""
    parser.add_argument('--strict', action='store_true',
                        help='refuse a checkpoint that does not fit to the last tensor')
    parser.add_argument('--allow-partial', action='store_true',
                        help='load a checkpoint of which less fits than the load report asks for (half of it)')
    parser.add_argument('--trust-checkpoint', action='store_true',
                        help='load checkpoints that need unpickling, which can run code of whoever made them')


def _is_report(hook: Any) -> bool:
    # A hook may stand there as an object, and its type by its class or with its scope.
    kind = hook.get('type') if isinstance(hook, Mapping) else type(hook)
    return getattr(kind, '__name__', str(kind)).rsplit('.', 1)[-1] == _REPORT
