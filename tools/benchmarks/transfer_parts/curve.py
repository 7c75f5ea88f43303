"""The label-efficiency curve: what a number of labelled images gives from each start."""
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from agssp_mm.files import write_atomically

from .summary import METRICS, Line, cells, count_labels


_COLOURS = 10  # of matplotlib's cycle; after them the next marker tells starts apart
_MARKERS = 'os^Dv'

#: Per panel and start: (labelled images, mean, standard deviation).
Panels = dict[str, dict[str, list[tuple[int, float, float]]]]


def points_of(lines: Iterable[Line], metric: str) -> Panels:
    """Per panel (data set, detector, split) and start: (labelled images, mean, standard deviation over the seeds)."""
    lines = list(lines)
    counts = count_labels(lines)
    panels: dict[str, dict[str, list[tuple[int, float, float]]]] = defaultdict(lambda: defaultdict(list))
    for (dataset, detector, split, labels, (init, recipe, epochs)), cell in cells(lines).items():
        if (dataset, labels) in counts:
            values = [metrics[metric] for metrics in cell.values()]
            start = f'{init}{f" ({recipe})" if recipe else ""}, {epochs} epochs'
            spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
            panels[f'{dataset}, {split}: {detector}'][start].append(
                (counts[dataset, labels], float(np.mean(values)), spread))
    return {panel: {start: sorted(points) for start, points in starts.items()} for panel, starts in panels.items()}


def with_curves(panels: Panels) -> Panels:
    """The panels that have more than one number of labelled images; all of them, where none has."""
    curves = {panel: starts for panel, starts in panels.items()
              if len({size for points in starts.values() for size, _, _ in points}) > 1}
    return curves or panels


def draw_curve(lines: Iterable[Line], path: Path) -> None:
    """Draw it, one panel per data set, detector and split; bars are standard deviations over the seeds.

    Panels with one number of labelled images alone are left out where others have more.

    Raises:
        ValueError: If no line says how many images were labelled.
    """
    from matplotlib.figure import Figure
    panels = with_curves(points_of(lines, METRICS[0]))
    if not panels:
        raise ValueError('none of the lines says how many images were labelled (num_labels); nothing to draw')
    figure = Figure(figsize=(7, 4.5 * len(panels)), layout='constrained')
    for axes, (panel, starts) in zip(np.atleast_1d(figure.subplots(len(panels), 1)), panels.items()):
        for number, (start, points) in enumerate(starts.items()):
            sizes, means, spreads = zip(*points)
            marker = _MARKERS[number // _COLOURS % len(_MARKERS)]
            axes.errorbar(sizes, means, yerr=spreads, marker=marker, capsize=3, label=start)
        axes.set(title=panel, xlabel='labelled images', ylabel=METRICS[0], xscale='log')
        every = sorted({size for points in starts.values() for size, _, _ in points})
        axes.set_xticks(every, [str(size) for size in every])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(fontsize='small')
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as file:
        figure.savefig(file, format=path.suffix[1:] or 'png', dpi=120)
