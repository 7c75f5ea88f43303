"""Reading logs, whole and half-written ones."""
import json

from agssp_mm.visualization.run_page.training_logs import read_log, thin


def test_curves_by_kind_and_what_was_loaded(work_dir):
    log = read_log(work_dir)
    assert log.group('loss') == {'loss': [(step, 2.0 / step) for step in range(1, 6)],
                                 'loss_cls': [(step, 1.0 / step) for step in range(1, 6)]}
    assert list(log.group('lr')) == ['lr']
    assert log.group('agreement')['agreement_s2'][-1] == (5, 0.5)
    assert log.group('held-out agreement') == {'agreement/s2': [(1, 0.7)]}
    assert log.group('metric') == {'coco/bbox_mAP': [(1, 0.3)]}
    assert log.loads == [('load_from backbone.pth', ['2 of 3 tensors of the model loaded (backbone 2/3)',
                                                     '1 of the model not in the file: backbone.fc.weight'])]
    assert log.problems == []


def test_half_a_line_is_said_and_the_rest_read(work_dir):
    path = work_dir / '20260101_000000' / 'vis_data' / 'scalars.json'
    path.write_text(path.read_text() + '{"loss": 0.1, "st')
    log = read_log(work_dir)
    assert len(log.scalars['loss']) == 5
    assert len(log.problems) == 1
    assert '1 line cannot be read' in log.problems[0]


def test_a_resumed_run_takes_over_where_it_began(work_dir):
    later = work_dir / '20260101_000100' / 'vis_data'
    later.mkdir(parents=True)
    (later / 'scalars.json').write_text(''.join(json.dumps(dict(loss=9.0, step=step)) + '\n' for step in (4, 5, 6)))
    assert read_log(work_dir).scalars['loss'] == [(1, 2.0), (2, 1.0), (3, 2 / 3), (4, 9.0), (5, 9.0), (6, 9.0)]


def test_nothing_logged_yet(tmp_path):
    assert 'there are no logs yet' in read_log(tmp_path).problems[0]
    (tmp_path / '20260101_000000').mkdir()
    assert 'has not logged a step yet' in read_log(tmp_path).problems[0]


def test_long_curves_become_averages():
    points = thin([(step, float(step)) for step in range(1000)])
    assert len(points) == 334
    assert points[0] == (1, 1.0)
    assert thin([(0, 1.0)]) == [(0, 1.0)]
