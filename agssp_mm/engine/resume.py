"""Which checkpoint a run starts or goes on from."""
import zipfile
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log

from agssp_mm.checkpoints.reading import read_checkpoint


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


def check_start(cfg: Config, trust: bool = False) -> None:
    """Read what a run loads, before MMEngine, which would unpickle what it cannot read otherwise.

    Args:
        cfg: Changed in place: a LoadReportHook in it gets the same trust.
        trust: Let MMEngine unpickle the file.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is no checkpoint, or needs unpickling and is not trusted.
    """
    for hook in cfg.get('custom_hooks') or []:
        if trust and hook.get('type') == 'LoadReportHook':
            hook.trust_checkpoint = True
    if cfg.get('load_from'):
        read_checkpoint(cfg.load_from, trust)
