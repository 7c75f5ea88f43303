"""Room on disk and in memory."""
import os
import shutil
from pathlib import Path

from .finding import NOTE, OK, PROBLEM, Finding

# GB below which a run dies, and below which it is likely to.
_DISK, _MEMORY, _SHARED = (1, 10), (1, 4), (0.064, 1)
# Where a container's limit and use stand, in the second and the first version of control groups.
_LIMITS = (('memory.max', 'memory.current'), ('memory/memory.limit_in_bytes', 'memory/memory.usage_in_bytes'))


def check_disk(folder: Path) -> Finding:
    """Room for map stores, logs and checkpoints.

    Args:
        folder: Where runs will write; need not exist.
    """
    existing = next(parent for parent in (folder.resolve(), *folder.resolve().parents) if parent.is_dir())
    free = shutil.disk_usage(existing).free / 1e9
    return _judge('disk', free, _DISK, f'GB free in {existing}', f'du -xh --max-depth=2 {existing} | sort -h | tail')


def check_memory(meminfo: Path = Path('/proc/meminfo'), groups: Path = Path('/sys/fs/cgroup')) -> Finding:
    """Memory that is available to this process, the limit of its container included."""
    available = [_available(meminfo)]
    for limit, use in _LIMITS:
        if (groups / limit).is_file() and (text := (groups / limit).read_text().strip()).isdigit():
            free = int(text) - int((groups / use).read_text()) + _reclaimable((groups / limit).with_name('memory.stat'))
            available.append(free / 1e9)
    known = [amount for amount in available if amount is not None]
    if not known:
        return Finding('memory', OK, 'how much is free cannot be told on this system')
    return _judge('memory', min(known), _MEMORY, 'GB available', 'ps aux --sort=-rss | head')


def check_shared_memory(folder: Path = Path('/dev/shm')) -> Finding | None:
    """Room for what loader processes hand over; containers start with 64 MB. None where there is no such folder."""
    if not folder.is_dir():
        return None
    usage = shutil.disk_usage(folder)
    return _judge('shared memory', usage.free / 1e9, _SHARED, f'GB free in {folder}, for loader processes',
                  'docker run --shm-size=4g ...  # or num_workers=0 in the data loaders')


def _reclaimable(statistics: Path) -> int:
    """Bytes of files that were read and may be forgotten, which a control group counts as used."""
    lines = statistics.read_text().splitlines() if statistics.is_file() else []
    fields = dict(line.split(maxsplit=1) for line in lines if len(line.split()) == 2)
    return int(fields.get('total_inactive_file') or fields.get('inactive_file') or 0)


def _available(meminfo: Path) -> float | None:
    if meminfo.is_file():
        fields = dict(line.split(':', 1) for line in meminfo.read_text().splitlines() if ':' in line)
        if 'MemAvailable' in fields:
            return int(fields['MemAvailable'].split()[0]) * 1024 / 1e9
    names = os.sysconf_names if hasattr(os, 'sysconf_names') else {}
    if {'SC_AVPHYS_PAGES', 'SC_PAGE_SIZE'} <= set(names):
        return os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9
    return None


def _judge(name: str, amount: float, bounds: tuple[float, float], text: str, mend: str) -> Finding:
    low, some = bounds
    status = PROBLEM if amount < low else NOTE if amount < some else OK
    return Finding(name, status, f'{amount:.1f} {text}', '' if status == OK else mend)
