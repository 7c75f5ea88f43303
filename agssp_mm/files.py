"""Writing files so that a killed run never leaves half of one behind."""
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import BinaryIO

#: Names of files that are being written start with this; what a killed run leaves behind can be told by it.
TEMPORARY_PREFIX = '.writing-'
_UMASK = os.umask(0o022)  # the only way to ask is to set; done once, before there are threads
os.umask(_UMASK)


@contextmanager
def write_atomically(path: str | Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside ``path`` that takes its place when the block ends without an error.

    The folder must exist. Readers see the old content or the new, never a part.

    Raises:
        IsADirectoryError: If there is a folder of this name.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f'{path} is a folder; give the path of a file')
    handle, temporary = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=path.parent)
    try:
        with os.fdopen(handle, 'wb') as file:
            yield file
        # mkstemp makes files that only their owner can read; give them what the process would give any file.
        os.chmod(temporary, 0o666 & ~_UMASK)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)  # another run on the same folder may have cleared it away
        raise


def unused_path(path: str | Path) -> Path:
    """This path, or with the first number from 2 on behind it that makes it one where nothing is yet."""
    path = Path(path)
    numbered = (path.with_name(f'{path.name}{number}') for number in count(2))
    return path if not path.exists() else next(one for one in numbered if not one.exists())


def existing(root: str | Path, names: Iterable[str]) -> set[str]:
    """Those names of which there is a file or folder below ``root``.

    Folders are listed instead of asking for every name: over a network each question costs as much as a listing.

    Args:
        root: Folder that the names are relative to.
        names: POSIX paths below it.
    """
    wanted: dict[str, list[str]] = {}
    for name in names:
        wanted.setdefault(name.rpartition('/')[0], []).append(name)
    found: set[str] = set()
    for folder, inside in wanted.items():
        try:
            listed = set(os.listdir(os.path.join(root, folder)))
        except OSError:
            continue
        found.update(name for name in inside if name.rpartition('/')[2] in listed)
    return found
