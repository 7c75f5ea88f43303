"""One run at a time on a map store: a second one would clear away the files that the first is writing."""
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.dist import get_rank

from ..files import TEMPORARY_PREFIX

try:
    import fcntl
except ImportError:  # not a Unix: runs are not kept apart there
    fcntl = None  # type: ignore[assignment]

LOCK_NAME = '.writer.lock'


@contextmanager
def single_writer(store_path: Path) -> Iterator[None]:
    """Keep other runs off a store while the block runs; on the first rank only, which speaks for all of them.

    The system lets go of the lock when the process ends, however it ends. On file systems that know no locks, as some
    network mounts, runs are not kept apart.

    Args:
        store_path: Folder of the store; made if needed.

    Raises:
        ValueError: If another run writes to the store.
    """
    if get_rank() != 0:
        yield
        return
    store_path.mkdir(parents=True, exist_ok=True)
    with open(store_path / LOCK_NAME, 'ab') as file:
        _lock(file.fileno(), store_path)
        for leftover in store_path.rglob(f'{TEMPORARY_PREFIX}*'):  # of a killed run; nobody else writes now
            leftover.unlink()
        yield


def _lock(handle: int, store_path: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(f'another run is writing to the map store {store_path}; wait for its end, give another '
                         'folder, or start one run on several processes with torchrun') from None
    except OSError:  # this file system knows no locks
        return
