"""The stamps of the demo's steps, and the maths of its table."""
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / 'tools'))
from demo_parts.pictures import choose_images  # noqa: E402
from demo_parts.report import format_table, paired_difference, summarise  # noqa: E402
from demo_parts.steps import Step  # noqa: E402
from demo_parts.training import TrainingError, _show_progress, describe, measure, train  # noqa: E402


class Counted:
    """Work that writes one file and counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, folder):
        self.calls += 1
        (folder / 'out.txt').write_text(str(self.calls))
        return dict(files=['out.txt'], value=self.calls)


def test_a_finished_step_is_not_done_again(tmp_path, capsys):
    work = Counted()
    first = Step(tmp_path, 'maps', 'make maps', dict(size=3)).run(work)
    again = Step(tmp_path, 'maps', 'make maps', dict(size=3)).run(work)
    assert work.calls == 1
    assert first == again
    assert 'make maps: done before' in capsys.readouterr().out


def test_changed_inputs_make_the_step_and_all_after_it_anew(tmp_path):
    works = Counted(), Counted(), Counted()

    def run(size):
        data = Step(tmp_path, 'data', 'data', dict(seed=0))
        maps = Step(tmp_path, 'maps', 'maps', dict(size=size), after=[data])
        train = Step(tmp_path, 'train/seed0', 'training', {}, after=[maps])
        for step, work in zip((data, maps, train), works, strict=True):
            step.run(work)

    run(3)
    (tmp_path / 'train' / 'seed0' / 'old.pth').touch()
    run(4)
    assert [work.calls for work in works] == [1, 2, 2]
    assert not (tmp_path / 'train' / 'seed0' / 'old.pth').exists()


def test_a_lost_file_makes_the_step_again(tmp_path):
    work, step = Counted(), Step(tmp_path, 'maps', 'maps', {})
    step.run(work)
    (tmp_path / 'maps' / 'out.txt').unlink()
    assert not step.is_done
    step.run(work)
    assert work.calls == 2


def test_an_interrupted_step_keeps_what_it_has(tmp_path):
    def interrupted(folder):
        (folder / 'half.txt').write_text('half')
        raise KeyboardInterrupt

    step = Step(tmp_path, 'train', 'training', dict(epochs=3))
    with pytest.raises(KeyboardInterrupt):
        step.run(interrupted)
    assert not step.is_done
    result = Step(tmp_path, 'train', 'training', dict(epochs=3)).run(
        lambda folder: dict(found=(folder / 'half.txt').read_text()))
    assert result['found'] == 'half'


def test_foreign_files_are_neither_used_nor_deleted(tmp_path):
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data' / 'mine.txt').write_text('keep me')
    with pytest.raises(ValueError, match='was not made by the demo'):
        Step(tmp_path, 'data', 'data', {}).run(Counted())
    assert (tmp_path / 'data' / 'mine.txt').read_text() == 'keep me'


def test_paired_difference_of_three_pairs():
    # differences 1, 2, 3: mean 2, standard error 1 / sqrt(3), t(0.975, 2) = 4.302653
    found = paired_difference([10, 20, 30], [11, 22, 33])
    assert found == pytest.approx((2.0, 2 - 4.302653 / 3 ** 0.5, 2 + 4.302653 / 3 ** 0.5), abs=1e-5)


def test_one_pair_has_no_interval():
    found = paired_difference([10], [8])
    assert found.mean == -2
    assert found.low != found.low


def test_unpaired_values_are_refused():
    with pytest.raises(ValueError, match='got 2 values and 1 values'):
        paired_difference([1, 2], [1])


def test_progress_is_said_once_per_epoch_and_in_long_ones_again(capsys, monkeypatch):
    line = ('11/23 22:46:04 - mmengine - INFO - Epoch(train) [{}][{}/158]  base_lr: 3e-04 lr: 3e-04  eta: 0:11:32  '
            'time: 1.9191  grad_norm: 11.2466  loss: 0.8643  loss_cls: 0.3724\n')
    lines = [line.format(7, 20), line.format(7, 40), line.format(7, 60), 'Saving checkpoint\n', line.format(' 8', 20)]
    seconds = iter([100.0, 129.0, 130.0, 130.0])  # asked for at every line, and again for those said
    monkeypatch.setattr('demo_parts.training.time.monotonic', lambda: next(seconds))
    assert list(_show_progress(lines[:4], 9)) == lines[:4]
    assert capsys.readouterr().out == ('    epoch 7 of 9, step 20 of 158, loss 0.8643, 0:11:32 left\n'
                                       '    epoch 7 of 9, step 60 of 158, loss 0.8643, 0:11:32 left\n')


def test_side_by_side_progress_says_whose_it_is(capsys):
    line = 'Epoch(train) [7][20/158]  base_lr: 3e-04  eta: 0:11:32  time: 1.9  loss: 0.8643  loss_cls: 0.3724\n'
    assert list(_show_progress([line], 9, '[3/11] ')) == [line]
    assert capsys.readouterr().out == '    [3/11] epoch 7 of 9, step 20 of 158, loss 0.8643, 0:11:32 left\n'


def test_the_newest_measurement_of_a_training_counts(tmp_path):
    for run, value in ('20260101_000000', 0.1), ('20260102_000000', 0.25):
        file = tmp_path / run / 'vis_data' / 'scalars.json'
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({'coco/bbox_mAP': value, 'coco/bbox_mAP_50': 2 * value}) + '\n{"loss": 1.0}\n')
    found = measure(tmp_path / 'no_config.py', {}, tmp_path / 'no_checkpoint.pth', tmp_path)
    assert found == dict(mAP=25.0, mAP50=50.0)


def test_a_failing_training_says_why(tmp_path):
    config = tmp_path / 'broken.py'
    config.write_text('train_cfg = dict(max_epochs=1)\n')
    with pytest.raises(TrainingError, match=r'broken.py failed .exit status 2.*train.log') as error:
        train(config, {}, tmp_path)
    assert str(error.value).endswith('train.py: error: model\n')
    assert (tmp_path / 'train.log').stat().st_size > 0


@pytest.mark.parametrize('label, wanted', [('', 'None'), ('[3/11] ', '2')])
def test_a_training_beside_others_takes_its_share_of_the_cores(tmp_path, monkeypatch, label, wanted):
    says = 'import os\nraise SystemExit("threads " + str(os.environ.get("OMP_NUM_THREADS")))\n'
    (tmp_path / 'train.py').write_text(says)
    (tmp_path / 'any.py').write_text('train_cfg = dict(max_epochs=1)\n')
    monkeypatch.setitem(train.__globals__, 'TOOLS', tmp_path)  # other tests import the module anew
    monkeypatch.setattr('os.sched_getaffinity', lambda process: range(4))
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    with pytest.raises(TrainingError, match=f'threads {wanted}'):
        train(tmp_path / 'any.py', {}, tmp_path, label)


def test_description_of_a_training_does_not_depend_on_the_folder(monkeypatch):
    config = Path(__file__).parents[2] / 'configs' / 'demo' / 'demo_agdp.py'

    def describe_in(folder, options=None):
        monkeypatch.setenv('AGSSP_DEMO_DIR', folder)
        return describe(config, options or {})

    assert describe_in('here/demo') == describe_in('/elsewhere') == describe_in('/prüf/demo') == describe_in('.')
    assert describe_in('here/demo') != describe_in('here/demo', {'train_cfg.max_epochs': 1})


def test_pictures_show_images_whose_labels_no_training_saw():
    coco = dict(images=[dict(id=number) for number in range(9)],
                annotations=[dict(image_id=number) for number in (0, 3, 4, 6, 8)])
    chosen = choose_images(coco, dict(images=[dict(id=0), dict(id=3)]), 4)
    assert [image['id'] for image in chosen] == [4, 6, 8, 1]


def _arms():
    return {'ImageNet': {0: dict(mAP=10.0, mAP50=30.0), 1: dict(mAP=12.0, mAP50=33.0)},
            'pretrained': {0: dict(mAP=13.0, mAP50=29.0), 1: dict(mAP=14.0, mAP50=31.0)}}


def test_summary_and_table():
    summary = summarise(_arms())
    assert summary['mean']['ImageNet'] == dict(mAP=11.0, mAP50=31.5)
    assert summary['mean']['pretrained'] == dict(mAP=13.5, mAP50=30.0)
    assert summary['difference']['mAP']['mean'] == pytest.approx(2.5)
    assert summary['difference']['mAP50']['mean'] == pytest.approx(-1.5)
    table = format_table(summary)
    lines = [line.split() for line in table.splitlines()]
    assert lines[2] == ['0', '10.0', '30.0', '13.0', '29.0', '+3.0', '-1.0']
    assert lines[4] == ['mean', '11.0', '31.5', '13.5', '30.0', '+2.5', '-1.5']
    assert 'mAP50  -1.5  (95 % interval -7.9 to +4.9)' in table
    json.dumps(summary)


def test_table_of_one_seed_says_that_it_has_no_interval():
    summary = summarise({arm: {0: seeds[0]} for arm, seeds in _arms().items()})
    assert summary['difference']['mAP']['interval'] is None
    assert 'needs at least two seeds' in format_table(summary)
