"""The table and the curve of the transfer benchmark."""
import json
from pathlib import Path

import pytest

from agssp_mm.visualization.run_page.transfer_results import (efficiency_curves, labels_number,
                                                              read_demo_results, read_results,
                                                              result_rows)


ROOT = Path(__file__).parents[3]


def line(init, labels, seed, value):
    return dict(dataset='neu', detector='retinanet', split='dev', init=init, labels=labels, seed=seed, recipe=None,
                pretrain_seed=None, epochs=20, metrics=dict(mAP=value / 2, mAP50=value))


LINES = [line(init, labels, seed, value + seed) for init, labels, value in [
    ('imagenet', 'train_10pct', 50.0), ('agssp', 'train_10pct', 54.0), ('imagenet', 'train', 60.0),
    ('agssp', 'train', 61.0)] for seed in (0, 1)]


def test_rows_are_paired_with_imagenet():
    rows = result_rows(LINES)
    assert [(row['labels'], row['start'], row['seeds']) for row in rows] == [
        ('train_10pct', 'imagenet', 2), ('train_10pct', 'agssp', 2), ('train', 'imagenet', 2), ('train', 'agssp', 2)]
    assert rows[0]['mean'] == dict(mAP50=50.5, mAP=25.25)
    assert rows[0]['difference']['mAP50'] is None
    assert rows[1]['difference']['mAP50'] == pytest.approx((4.0, 4.0, 4.0))


def test_rows_are_those_of_the_tool_itself(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    monkeypatch.syspath_prepend(str(ROOT / 'tools' / 'benchmarks'))
    from transfer_parts.records import read_lines
    from transfer_parts.summary import cells, difference
    paths = sorted((ROOT / 'docs' / 'results').glob('*.jsonl'))
    grouped = cells(read_lines(paths))
    rows = {(*row['group'].split(' / '), row['labels'], row['start'], row['epochs']): row
            for row in result_rows(read_results(paths, []))}
    assert len(rows) == len(grouped) > 20
    for key, seeds in grouped.items():
        dataset, detector, split, labels, (init, recipe, epochs) = key
        row = rows[dataset, detector, split, labels, f'{init} ({recipe})' if recipe else init, epochs]
        assert row['seeds'] == len(seeds)
        assert row['mean']['mAP'] == pytest.approx(sum(one['mAP'] for one in seeds.values()) / len(seeds))
        wanted, found = difference(grouped, key, 'mAP50'), row['difference']['mAP50']
        assert (wanted is None) == (found is None)
        assert wanted is None or found == pytest.approx(tuple(wanted), nan_ok=True)


def test_pretrainings_of_one_seed_are_averaged_and_sizes_and_precisions_kept_apart(tmp_path):
    path = tmp_path / 'a.jsonl'
    more = [dict(image_size=192, amp=False, pretrain_seed=0), dict(image_size=192, amp=False, pretrain_seed=1),
            dict(image_size=192, amp=True, pretrain_seed=0), dict(image_size=256, amp=False, pretrain_seed=0)]
    path.write_text(''.join(json.dumps({**line('agssp', 'train', 0, 50.0 + 4 * number), **one}) + '\n'
                            for number, one in enumerate(more)))
    rows = result_rows(read_results([path], []))
    assert {row['group'].split(' / ')[1]: row['mean']['mAP50'] for row in rows} == {
        'retinanet, 192 px': 52.0, 'retinanet, 192 px, mixed precision': 58.0, 'retinanet, 256 px': 62.0}


def test_the_curve_needs_two_numbers_of_labels():
    curves = efficiency_curves(result_rows(LINES))
    assert curves == {'neu / retinanet / dev': dict(imagenet=[(10.0, 50.5), (100.0, 60.5)],
                                                    agssp=[(10.0, 54.5), (100.0, 61.5)])}
    assert efficiency_curves(result_rows(LINES[:4])) == {}


def test_damaged_lines_are_said(tmp_path):
    problems = []
    path = tmp_path / 'a.jsonl'
    path.write_text(json.dumps(LINES[0]) + '\n{"init": "x"}\n{"init')
    assert read_results([path], problems) == [LINES[0]]
    assert '2 line(s) are no results' in problems[0]


def test_the_demo_is_a_small_transfer_benchmark(tmp_path):
    path = tmp_path / 'results.json'
    path.write_text(json.dumps(dict(arms={'ImageNet only': {'0': dict(mAP=1.0, mAP50=2.0)},
                                          'with pretraining': {'0': dict(mAP=2.0, mAP50=5.0)}})))
    rows = result_rows(read_demo_results(path, 48))
    assert [(row['init'], row['labels']) for row in rows] == [('imagenet', '48 images'), ('agssp', '48 images')]
    assert rows[1]['difference']['mAP50'].mean == 3.0


@pytest.mark.parametrize('labels, share', [('train_5pct', 5.0), ('train', 100.0), ('48 images', None), ('few', None)])
def test_shares_of_labels(labels, share):
    assert labels_number(labels) == share
