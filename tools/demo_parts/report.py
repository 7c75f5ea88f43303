"""The table at the end: two arms, paired by seed."""
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

METRICS = ('mAP', 'mAP50')


class PairedDifference(NamedTuple):
    """Mean of paired differences with its 95 % confidence interval (Student's t); NaN from a single pair."""
    mean: float
    low: float
    high: float


def paired_difference(before: Sequence[float], after: Sequence[float]) -> PairedDifference:
    """Compare two arms measured under the same seeds.

    Args:
        before: One value per seed.
        after: One value per seed, in the same order.

    Raises:
        ValueError: If the arms have not the same number of values, or none.
    """
    if len(before) != len(after) or not len(before):
        raise ValueError(f'pairs are needed, got {len(before)} values and {len(after)} values')
    differences = np.subtract(after, before)
    mean = float(differences.mean())
    if len(differences) == 1:
        return PairedDifference(mean, float('nan'), float('nan'))
    reach = stats.t.ppf(0.975, len(differences) - 1) * stats.sem(differences)
    return PairedDifference(mean, float(mean - reach), float(mean + reach))


def summarise(arms: Mapping[str, Mapping[int, Mapping[str, float]]]) -> dict[str, Any]:
    """Means and paired differences of two arms.

    Args:
        arms: ``{arm: {seed: {metric: per cent}}}``, baseline first, both with the same seeds.

    Returns:
        Plain JSON: ``arms`` as given, ``mean`` per arm and metric, ``difference`` per metric with its
        ``interval`` (``None`` from a single seed).
    """
    baseline, treated = arms
    mean = {arm: {metric: float(np.mean([values[metric] for values in seeds.values()])) for metric in METRICS}
            for arm, seeds in arms.items()}
    difference = {}
    for metric in METRICS:
        pairs = [(arms[baseline][seed][metric], arms[treated][seed][metric]) for seed in arms[baseline]]
        found = paired_difference(*zip(*pairs, strict=True))
        interval = None if np.isnan(found.low) else [found.low, found.high]
        difference[metric] = dict(mean=found.mean, interval=interval)
    return dict(arms={arm: dict(seeds) for arm, seeds in arms.items()}, mean=mean, difference=difference)


def format_table(summary: Mapping[str, Any]) -> str:
    """The summary as a table of fixed-width text, per cent."""
    arms = list(summary['arms'])
    widths = [max(17, len(arm)) for arm in arms]
    names = [f'{arm:>{width}}' for arm, width in zip(arms, widths, strict=True)]
    head = [' ' * 6, *names, f'{"difference":>17}']
    units = [f'{"seed":<6}', *(_cells(METRICS, width) for width in [*widths, 17])]
    lines = ['  '.join(head), '  '.join(units)]
    for seed in summary['arms'][arms[0]]:
        lines.append(_line(str(seed), [summary['arms'][arm][seed] for arm in arms], widths))
    lines.append(_line('mean', [summary['mean'][arm] for arm in arms], widths))
    lines += ['', f'{arms[1]} minus {arms[0]}, paired by seed:']
    for metric in METRICS:
        found = summary['difference'][metric]
        interval = '95 % interval needs at least two seeds'
        if found['interval']:
            interval = '95 % interval {:+.1f} to {:+.1f}'.format(*found['interval'])
        lines.append(f'  {metric:<6} {found["mean"]:+.1f}  ({interval})')
    return '\n'.join(lines)


def _line(name: str, values: Sequence[Mapping[str, float]], widths: Sequence[int]) -> str:
    cells = [_cells([f'{value[metric]:.1f}' for metric in METRICS], width)
             for value, width in zip(values, widths, strict=True)]
    before, after = values
    cells.append(_cells([f'{after[metric] - before[metric]:+.1f}' for metric in METRICS], 17))
    return '  '.join([f'{name:<6}', *cells])


def _cells(texts: Sequence[str], width: int) -> str:
    return ''.join(f'{text:>8}' for text in texts).rjust(width)
