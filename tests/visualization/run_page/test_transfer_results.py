"""The table and the curve of the transfer benchmark."""
import json

import pytest

from agssp_mm.visualization.run_page.transfer_results import (efficiency_curves, labels_number,
                                                              read_demo_results, read_results,
                                                              result_rows)


def line(init, labels, seed, value):
    return dict(dataset='neu', detector='retinanet', split='dev', init=init, labels=labels, seed=seed, recipe=None,
                epochs=20, metrics=dict(mAP=value / 2, mAP50=value))


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
