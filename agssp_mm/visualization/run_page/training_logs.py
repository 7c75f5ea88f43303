"""Reading the logs of a training: scalars, and what was said when checkpoints were loaded."""
import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path

_LOADED = re.compile(r' - INFO - ((?:load_from|init_cfg of) .*?): (\d+ of \d+ tensors of the model loaded.*)$')
_MAX_POINTS = 400


@dataclass
class TrainingLog:
    """What the logs of one training say, runs that were resumed joined.

    Attributes:
        scalars: Name -> points (step, value), ascending in step.
        loads: (what was loaded, lines about it).
        problems: Files that are missing or damaged, in words.
    """

    scalars: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    loads: list[tuple[str, list[str]]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def group(self, kind: str) -> dict[str, list[tuple[int, float]]]:
        """Curves of one kind: "loss", "lr", "agreement", "held-out agreement" or "metric"."""
        return {name: thin(points) for name, points in self.scalars.items() if _kind(name) == kind}


def read_log(folder: Path) -> TrainingLog:
    """Read every log below a work_dir, oldest first; later runs take over from the step at which they begin."""
    log = TrainingLog()
    runs = sorted(path for path in folder.glob('*_*/') if path.is_dir())
    if not runs:
        log.problems.append(f'{folder}: there are no logs yet')
    for run in runs:
        _read_scalars(run / 'vis_data' / 'scalars.json', log)
        for text in sorted(run.glob('*.log')):
            log.loads += _read_loads(text)
    log.loads = list({label: (label, lines) for label, lines in log.loads}.values())
    if runs and not log.scalars:
        log.problems.append(f'{folder}: the training has not logged a step yet (no scalars.json with numbers)')
    return log


def _read_scalars(path: Path, log: TrainingLog) -> None:
    if not path.is_file():
        return
    damaged, first = 0, {}
    for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
        try:
            entry = json.loads(line)
            step = int(entry['step'])
        except (json.JSONDecodeError, KeyError, TypeError, ValueError):
            damaged += 1
            continue
        for name, value in entry.items():
            if not isinstance(value, (int, float)) or not math.isfinite(value):
                continue
            points = log.scalars.setdefault(name, [])
            if name not in first:
                first[name] = step
                points[:] = [point for point in points if point[0] < step]
            points.append((step, float(value)))
    if damaged:
        log.problems.append(f'{path}: {damaged} line{"s" if damaged > 1 else ""} cannot be read (an interrupted run '
                            'leaves such); the others are shown')


def _read_loads(path: Path) -> list[tuple[str, list[str]]]:
    loads, is_inside = [], False
    for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
        found = _LOADED.search(line)
        if found:
            loads.append((found[1], [found[2]]))
        elif is_inside and line.startswith('  '):
            loads[-1][1].append(line.strip())
        is_inside = bool(found) or is_inside and line.startswith('  ')
    return loads


def _kind(name: str) -> str:
    if name.startswith('agreement/'):
        return 'held-out agreement'
    if name.startswith('agreement'):
        return 'agreement'
    if name == 'lr':
        return 'lr'
    if 'mAP' in name or 'accuracy' in name:
        return 'metric'
    return 'loss' if 'loss' in name else 'other'


def thin(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most 400 points: averages over equal numbers of neighbours."""
    size = -(-len(points) // _MAX_POINTS)
    if size < 2:
        return points
    parts = [points[start:start + size] for start in range(0, len(points), size)]
    return [(part[len(part) // 2][0], sum(value for _, value in part) / len(part)) for part in parts]
