"""Results of the transfer benchmark: rows with intervals, and how they grow with the number of labels."""
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .paired import PairedDifference, paired_difference

METRICS = ('mAP50', 'mAP')
BASELINE = 'imagenet'
_GROUP = ('dataset', 'detector', 'split')
Line = Mapping[str, Any]


def read_results(paths: Sequence[Path], problems: list[str]) -> list[Line]:
    """Lines of ``tools/benchmarks/transfer.py``; what is none is left out and named in ``problems``."""
    lines: list[Line] = []
    for path in paths:
        damaged = 0
        for text in path.read_text(encoding='utf-8', errors='replace').splitlines():
            try:
                line = json.loads(text)
                lines.append({**{key: line[key] for key in (*_GROUP, 'init', 'labels', 'seed')},
                              'detector': _setting(line), 'pretrain_seed': line.get('pretrain_seed'),
                              'recipe': line.get('recipe'), 'epochs': line.get('epochs'),
                              'metrics': {metric: float(line['metrics'][metric]) for metric in METRICS}})
            except (json.JSONDecodeError, KeyError, TypeError, ValueError):
                damaged += 1
        if damaged:
            problems.append(f'{path}: {damaged} line(s) are no results of the transfer benchmark and are left out')
    return lines


def _setting(line: Line) -> str:
    """The detector with what else has to be the same where rows are compared, as in the tool's own table."""
    size = f', {line["image_size"]} px' if line.get('image_size') else ''
    return f'{line["detector"]}{size}{", mixed precision" if line.get("amp") else ""}'


def read_demo_results(path: Path, num_labels: int | None) -> list[Line]:
    """The two arms of the demo, in the same form."""
    arms = json.loads(path.read_text(encoding='utf-8'))['arms']
    labels = f'{num_labels} images' if num_labels else 'few'
    return [dict(dataset='made metal surfaces', detector='demo', split='val', init=BASELINE if place == 0 else 'agssp',
                 labels=labels, seed=int(seed), recipe=None, epochs=None, metrics=metrics)
            for place, seeds in enumerate(arms.values()) for seed, metrics in seeds.items()]


def result_rows(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """One row per data set, detector, split, labels and start, with paired differences to the ImageNet start.

    Runs of one seed from several pretrainings are averaged; of several lines of one run the last one counts.
    """
    runs: dict[tuple, dict[int, dict[Any, Mapping[str, float]]]] = defaultdict(lambda: defaultdict(dict))
    for line in lines:
        start = f'{line["init"]} ({line["recipe"]})' if line['recipe'] else line['init']
        names = tuple(str(line[key]) for key in _GROUP)
        key = (*names, str(line['labels']), line['init'], start, line['epochs'])
        runs[key][line['seed']][line.get('pretrain_seed')] = line['metrics']
    cells = {key: {seed: {metric: float(np.mean([one[metric] for one in own.values()])) for metric in METRICS}
                   for seed, own in seeds.items()} for key, seeds in runs.items()}
    rows = []
    for key in sorted(cells, key=lambda key: (*key[:3], labels_number(key[3]) or 0.0, key[4] != BASELINE, str(key))):
        *group, labels, init, start, epochs = key
        values = {metric: [one[metric] for one in cells[key].values()] for metric in METRICS}
        base = None if init == BASELINE else _baseline(cells, key)
        rows.append(dict(group=' / '.join(group), labels=labels, init=init, start=start, epochs=epochs,
                         seeds=len(cells[key]), mean={metric: float(np.mean(own)) for metric, own in values.items()},
                         difference={metric: _difference(cells, key, base, metric) for metric in METRICS}))
    return rows


def _baseline(cells: Mapping[tuple, Mapping[int, Mapping[str, float]]], key: tuple) -> tuple | None:
    """The best ImageNet row of the same images and labels that shares a seed."""
    rows = [other for other in cells
            if other[:4] == key[:4] and other[4] == BASELINE and set(cells[other]) & set(cells[key])]
    return max(rows, default=None, key=lambda row: np.mean([one[METRICS[0]] for one in cells[row].values()]))


def _difference(cells: Mapping[tuple, Mapping[int, Mapping[str, float]]], key: tuple, base: tuple | None,
                metric: str) -> PairedDifference | None:
    if base is None:
        return None
    seeds = sorted(set(cells[key]) & set(cells[base]))
    return paired_difference([cells[base][seed][metric] for seed in seeds],
                             [cells[key][seed][metric] for seed in seeds])


def efficiency_curves(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Group -> start -> (share of labels in per cent, mean of the first metric); groups with one label set left out."""
    curves: dict[str, dict[str, dict[float, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        points = curves[row['group']][row['start']]
        number = labels_number(row['labels'])
        if number is not None:
            points[number] = max(row['mean'][METRICS[0]], points.get(number, 0.0))
    return {group: {start: sorted(points.items()) for start, points in starts.items() if points}
            for group, starts in curves.items()
            if len({number for points in starts.values() for number in points}) > 1}


def labels_number(labels: str) -> float | None:
    """Share of the labels in per cent: 10 of ``train_10pct``, 100 of ``train``; None where the name does not say."""
    share = re.search(r'(\d+)pct', labels)
    if share:
        return float(share[1])
    return 100.0 if labels == 'train' else None
