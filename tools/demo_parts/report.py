"""The table at the end: two arms, paired by seed."""
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agssp_mm.visualization.run_page.paired import PairedDifference, paired_difference

__all__ = ['METRICS', 'PairedDifference', 'format_table', 'paired_difference', 'summarise']

METRICS = ('mAP', 'mAP50')


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
