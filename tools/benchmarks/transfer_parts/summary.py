"""What the result lines say: means, paired differences to ImageNet with their intervals, and the saving in labels."""
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from demo_parts.report import PairedDifference, paired_difference

METRICS = ('mAP50', 'mAP')
BASELINE = 'imagenet'
Line = Mapping[str, Any]
Cell = dict[int, dict[str, float]]  # seed -> metrics


def cells(lines: Iterable[Line]) -> dict[tuple, Cell]:
    """Group the lines: ``(dataset, detector, split, labels, row) -> {seed: metrics}``.

    The detector goes with image size and precision, because only rows that share these compare. A row is an
    initialisation with its recipe and number of epochs. Of several lines of one run the last one counts; runs of one
    seed from several pretrainings are averaged.

    Raises:
        ValueError: If lines of one row say that they were measured with different options.
    """
    _check_options(lines := list(lines))
    grouped: dict[tuple, dict[int, Cell]] = defaultdict(lambda: defaultdict(dict))
    for line in lines:
        same_seed = grouped[_key_of(line)][line['seed']]
        same_seed[line['pretrain_seed']] = line['metrics']
    return {key: {seed: {metric: float(np.mean([one[metric] for one in runs.values()])) for metric in METRICS}
                  for seed, runs in seeds.items()} for key, seeds in grouped.items()}


def _key_of(line: Line) -> tuple:
    row = (line['init'], line['recipe'], line['epochs'])
    setting = f'{line["detector"]}, {line["image_size"]} px{", mixed precision" if line["amp"] else ""}'
    return line['dataset'], setting, line['split'], line['labels'], row


def _check_options(lines: Iterable[Line]) -> None:
    """A mean over runs of different settings would say nothing. Old lines that do not name theirs fit any."""
    known: dict[tuple, Any] = {}
    for line in lines:
        if 'options' in line:
            first = known.setdefault(_key_of(line), line['options'])
            if first != line['options']:
                raise ValueError(f'{" / ".join(map(str, _key_of(line)))}: lines were measured with the options {first} '
                                 f'and {line["options"]}; give the files of one of them at a time')


def count_labels(lines: Iterable[Line]) -> dict[tuple[str, str], int]:
    """Labelled images: ``(dataset, labels) -> number``, for the lines that say it."""
    return {(line['dataset'], line['labels']): line['num_labels'] for line in lines if 'num_labels' in line}


def baseline_of(grouped: Mapping[tuple, Cell], key: tuple, metric: str, as_long: bool = False) -> tuple | None:
    """The ImageNet row a row is compared with: the best one that shares a seed with it.

    Args:
        grouped: What :func:`cells` made.
        key: Of the row.
        metric: That the best one is best in.
        as_long: Only the one with as many epochs, in place of one with any number.
    """
    own = set(grouped[key])
    rows = [other for other in grouped
            if other[:4] == key[:4] and other[4][0] == BASELINE and own & set(grouped[other])
            and (not as_long or other[4][2] == key[4][2])]
    return max(rows, default=None, key=lambda row: np.mean([values[metric] for values in grouped[row].values()]))


def difference(grouped: Mapping[tuple, Cell], key: tuple, metric: str,
               as_long: bool = False) -> PairedDifference | None:
    """Paired difference of a row to its baseline over the seeds both have; ``None`` for baselines and without one."""
    base = None if key[4][0] == BASELINE else baseline_of(grouped, key, metric, as_long)
    if base is None:
        return None
    seeds = sorted(set(grouped[key]) & set(grouped[base]))
    return paired_difference([grouped[base][seed][metric] for seed in seeds],
                             [grouped[key][seed][metric] for seed in seeds])


def label_saving(num_labels: Mapping[str, int], baseline: Mapping[str, float], reached: float) -> float | None:
    """How many labelled images ImageNet needs for a metric, interpolated between the label sets measured.

    Args:
        num_labels: Images per label set.
        baseline: Mean metric of ImageNet per label set.
        reached: The metric to reach.

    Returns:
        Number of images; ``None`` when no measured label set reaches it. The smallest set bounds it from below.
    """
    points = sorted((num_labels[name], value) for name, value in baseline.items())
    if not points or reached > max(value for _, value in points):
        return None
    previous = points[0]
    for point in points:
        if point[1] >= reached:
            if point == previous:
                return float(point[0])
            share = (reached - previous[1]) / (point[1] - previous[1])
            return previous[0] + share * (point[0] - previous[0])
        previous = point
    return None


def saving(grouped: Mapping[tuple, Cell], counts: Mapping[tuple[str, str], int], key: tuple, metric: str) -> str:
    """The labels of a row against those ImageNet needs for the same metric, in words; empty where it is unknown."""
    own = counts.get((key[0], key[3]))
    if key[4][0] == BASELINE or own is None:
        return ''
    reached = _mean(grouped[key], metric)
    baseline: dict[str, float] = {}
    for other, cell in grouped.items():
        if other[:3] == key[:3] and other[4][0] == BASELINE and (key[0], other[3]) in counts:
            baseline[other[3]] = max(_mean(cell, metric), baseline.get(other[3], -np.inf))
    if not baseline:
        return ''
    sizes = {name: counts[key[0], name] for name in baseline}
    needed = label_saving(sizes, baseline, reached)
    if needed is None:
        return f'{own} / more than {max(sizes.values())}'
    return f'{own} / {"at most " if needed == min(sizes.values()) else ""}{needed:.0f}'


def format_summary(lines: Iterable[Line]) -> str:
    """The table, as Markdown."""
    lines = list(lines)
    grouped, counts = cells(lines), count_labels(lines)
    head = '| ' + ' | '.join(('data set', 'detector', 'split', 'labels', 'start', 'epochs', 'seeds', *METRICS,
                              *(f'{metric} - ImageNet' for metric in METRICS),
                              f'labels / ImageNet needs for this {METRICS[0]}',
                              *(f'{metric} - ImageNet as long' for metric in METRICS))) + ' |'
    rows = [head, '|---' * (head.count('|') - 1) + '|']
    for key in sorted(grouped, key=str):
        dataset, detector, split, labels, (init, recipe, epochs) = key
        start = f'{init} ({recipe})' if recipe else init
        values = [_spread([metrics[metric] for metrics in grouped[key].values()]) for metric in METRICS]
        gains, as_long = ([_interval(difference(grouped, key, metric, same)) for metric in METRICS]
                          for same in (False, True))
        rows.append('| ' + ' | '.join((dataset, detector, split, labels, start, str(epochs), str(len(grouped[key])),
                                       *values, *gains, saving(grouped, counts, key, METRICS[0]), *as_long)) + ' |')
    return '\n'.join(rows)


def _mean(cell: Cell, metric: str) -> float:
    return float(np.mean([values[metric] for values in cell.values()]))


def _spread(values: list[float]) -> str:
    spread = f' ± {np.std(values, ddof=1):.1f}' if len(values) > 1 else ''
    return f'{np.mean(values):.1f}{spread}'


def _interval(found: PairedDifference | None) -> str:
    if found is None:
        return ''
    if np.isnan(found.low):
        return f'{found.mean:+.1f}'
    return f'{found.mean:+.1f} ({found.low:+.1f} to {found.high:+.1f})'
