"""One run at a time on a map store: a second one would clear away the files that the first is writing."""
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from filelock import FileLock, Timeout
from mmengine.dist import get_rank

from ..files import TEMPORARY_PREFIX

LOCK_NAME = '.writer.lock'


@contextmanager
def single_writer(store_path: Path) -> Iterator[None]:
    """Keep other runs off a store while the block runs; on the first rank only, which speaks for all of them.

    The system lets go of the lock when the process ends, however it ends. On file systems without locks runs are not
    kept apart.

    Args:
        store_path: Folder of the store; made if needed.

    Raises:
        ValueError: If another run writes to the store.
    """
    if get_rank() != 0:
        yield
        return
    store_path.mkdir(parents=True, exist_ok=True)
    with _lock(store_path):
        for leftover in store_path.rglob(f'{TEMPORARY_PREFIX}*'):  # of a killed run; nobody else writes now
            leftover.unlink()
        yield


def _lock(store_path: Path) -> AbstractContextManager[object]:
    try:
        return FileLock(store_path / LOCK_NAME, timeout=0).acquire()
    except Timeout:
        raise ValueError(f'another run is writing to the map store {store_path}; wait for its end, give another '
                         'folder, or start one run on several processes with torchrun') from None
    except NotImplementedError:
        return nullcontext()
