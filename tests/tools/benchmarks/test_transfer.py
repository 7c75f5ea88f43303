import contextlib
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from scipy import stats

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / 'tools' / 'benchmarks' / 'transfer.py'
RUN = dict(init='imagenet', dataset='steel', labels='train_10pct', split='val', seed=0, pretrain_seed=None,
           detector='small', recipe=None, epochs=4, image_size=256, amp=False)


@pytest.fixture
def parts(monkeypatch):
    """The script's own modules, which lie outside the package."""
    for folder in (ROOT / 'tools', SCRIPT.parent):
        monkeypatch.syspath_prepend(folder)
    from transfer_parts import curve, grid, leaks, records, stages, summary
    yield dict(curve=curve, grid=grid, leaks=leaks, records=records, stages=stages, summary=summary)
    for name in [name for name in sys.modules if name.split('.')[0] in ('transfer_parts', 'demo_parts')]:
        del sys.modules[name]


def line(mAP50, **changes):
    return {**RUN, **changes, 'metrics': dict(mAP=mAP50 / 2, mAP50=mAP50)}


def script(*arguments, **environment):
    return subprocess.run([sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True,
                          env={**os.environ, 'OMP_NUM_THREADS': '1', **environment})


def test_grid_has_whole_pairs_first_and_shares_pretrainings_in_turn(parts):
    runs = parts['grid'].make_grid(['imagenet', 'agbp', 'agssp'], ['train_10pct'], [5, 6, 7], [0, 1], dataset='steel',
                                   split='dev', detector='small', recipe='trained', epochs=4)
    assert [(run.seed, run.init, run.pretrain_seed, run.recipe) for run in runs] == [
        (5, 'imagenet', None, None), (5, 'agbp', 0, None), (5, 'agssp', 0, 'trained'),
        (6, 'imagenet', None, None), (6, 'agbp', 1, None), (6, 'agssp', 1, 'trained'),
        (7, 'imagenet', None, None), (7, 'agbp', 0, None), (7, 'agssp', 0, 'trained')]
    assert len({run.name for run in runs}) == 9
    labelled = parts['grid'].make_grid(['agdp'], ['all'], [0], [0], dataset='steel', split='dev', detector='small',
                                       recipe='trained+paste', epochs=4, image_size=192, amp=True)
    assert [(run.recipe, run.image_size, run.amp) for run in labelled] == [('trained+paste', 192, True)]


@pytest.mark.parametrize('recipe, rounds', [
    ('trained', ('trained', 1)), ('trained+round2', ('trained', 2)), ('frozen+paste+round12', ('frozen+paste', 12)),
    ('trained+rounded', ('trained+rounded', 1)),
])
def test_the_number_of_rounds_is_a_label_of_the_recipe(parts, recipe, rounds):
    assert parts['grid'].split_rounds(recipe) == rounds


@pytest.mark.parametrize('recipe', ['trained+round1', 'trained+round2+round3'])
def test_odd_numbers_of_rounds_are_refused_before_anything_runs(parts, recipe):
    with pytest.raises(ValueError, match='at most one label "roundN", with N from 2 on'):
        parts['grid'].make_grid(['agdp'], ['all'], [0], [0], dataset='steel', split='dev', detector='small',
                                recipe=recipe, epochs=4)


def test_grid_refuses_an_unknown_initialisation(parts):
    with pytest.raises(ValueError, match=r"imagenet, agbp.*got \['clip'\]"):
        parts['grid'].make_grid(['clip'], ['train'], [0], [0], dataset='steel', split='dev', detector='small',
                                recipe='frozen', epochs=4)


def test_lines_are_appended_and_a_half_one_is_mended(parts, tmp_path):
    records, path = parts['records'], tmp_path / 'deep' / 'lines.jsonl'
    run = parts['grid'].Run(**RUN)
    records.append_line(path, run, metrics=dict(mAP=1.0))
    path.write_text(path.read_text() + '{"init": "ima')
    assert [one['metrics'] for one in records.read_lines([path])] == [dict(mAP=1.0)]
    other = parts['grid'].Run(**{**RUN, 'seed': 1})
    assert records.is_done(run, records.read_lines([path]), {})
    assert not records.is_done(other, records.read_lines([path]), {})
    records.append_line(path, other, metrics=dict(mAP=2.0))
    assert [one['metrics']['mAP'] for one in records.read_lines([path])] == [1.0, 2.0]


def test_a_line_without_its_line_break_is_kept(parts, tmp_path):
    records, path = parts['records'], tmp_path / 'lines.jsonl'
    path.write_text(json.dumps(line(1.0)))
    records.append_line(path, parts['grid'].Run(**{**RUN, 'seed': 1}), metrics=dict(mAP50=2.0))
    assert [one['metrics']['mAP50'] for one in records.read_lines([path])] == [1.0, 2.0]


def test_a_run_with_other_options_is_not_taken_for_done(parts):
    grid, records = parts['grid'], parts['records']
    given = dict(pretrain={'lr': 1}, agdp={'box': (1, 2)}, finetune={})
    run, agbp, agssp = (grid.Run(**{**RUN, **changes}) for changes in (
        {}, dict(init='agbp', pretrain_seed=0), dict(init='agssp', pretrain_seed=0, recipe='trained')))
    assert grid.options_of(run, given) == {}
    assert grid.options_of(agbp, given) == dict(pretrain={'lr': 1})
    assert grid.options_of(agssp, given) == dict(pretrain={'lr': 1}, agdp={'box': [1, 2]})
    faster = grid.options_of(run, dict(given, finetune={'lr': 2}))
    assert faster == dict(finetune={'lr': 2})
    assert records.is_done(run, [line(1.0)], faster)  # older lines do not say
    assert records.is_done(run, [dict(line(1.0), options=faster)], faster)
    with pytest.raises(ValueError, match='there with the options {}, now given are .*; give another file to --out'):
        records.is_done(run, [dict(line(1.0), options={})], faster)


def test_several_pretrainings_of_one_seed_are_averaged(parts):
    lines = [line(10.0), line(11.0, seed=1), line(12.0, init='agdp', recipe='trained', pretrain_seed=0)]
    lines += [line(value, init='agdp', recipe='trained', seed=1, pretrain_seed=number)
              for number, value in enumerate((20.0, 30.0))]
    found = parts['summary'].cells(lines)['steel', 'small, 256 px', 'val', 'train_10pct', ('agdp', 'trained', 4)]
    assert found == {0: dict(mAP50=12.0, mAP=6.0), 1: dict(mAP50=25.0, mAP=12.5)}


@pytest.mark.parametrize('text, message', [('{"init": "x"}\n', 'line 1: dataset, labels'),
                                           ('no\nno\n', 'line 1: no JSON')])
def test_a_foreign_line_is_named(parts, tmp_path, text, message):
    (tmp_path / 'lines.jsonl').write_text(text)
    with pytest.raises(ValueError, match=message):
        parts['records'].read_lines([tmp_path / 'lines.jsonl'])


def test_summary_pairs_by_seed_with_the_better_baseline(parts):
    summary = parts['summary']
    lines = [line(value, seed=seed) for seed, value in enumerate((50.0, 52.0, 54.0))]
    lines += [line(value, seed=seed, epochs=8) for seed, value in enumerate((51.0, 54.0, 54.0))]
    lines += [line(value, seed=seed, init='agssp', recipe='trained') for seed, value in enumerate((56.0, 57.0, 60.0))]
    grouped = summary.cells(lines)
    key = ('steel', 'small, 256 px', 'val', 'train_10pct', ('agssp', 'trained', 4))
    assert summary.baseline_of(grouped, key, 'mAP50')[4] == ('imagenet', None, 8)
    found = summary.difference(grouped, key, 'mAP50')
    reach = stats.t.ppf(0.975, 2) * np.std([5.0, 3.0, 6.0], ddof=1) / np.sqrt(3)
    assert tuple(found) == pytest.approx((14 / 3, 14 / 3 - reach, 14 / 3 + reach))
    table = summary.format_summary(lines)
    assert '| 57.7 ± 2.1 | 28.8 ± 1.0 | +4.7 (+0.9 to +8.5) |' in table
    # against the row of as many epochs: differences 6, 5, 6
    reach = stats.t.ppf(0.975, 2) * np.std([6.0, 5.0, 6.0], ddof=1) / np.sqrt(3)
    assert tuple(summary.difference(grouped, key, 'mAP50', as_long=True)) == pytest.approx(
        (17 / 3, 17 / 3 - reach, 17 / 3 + reach))
    assert '| +5.7 (+4.2 to +7.1) | ' in table


def test_labels_are_saved_against_the_better_imagenet_row(parts, tmp_path):
    few, many = dict(labels='few', num_labels=60), dict(labels='many', num_labels=120)
    lines = [line(40.0, **few), line(42.0, **few, epochs=8), line(52.0, **many),
             line(47.0, **few, init='agssp', recipe='trained'), line(53.0, **many, init='agssp', recipe='trained')]
    text = parts['summary'].format_summary(lines)
    assert '| agssp (trained) | 4 | 1 | 47.0 | 23.5 | +5.0 | +2.5 | 60 / 90 |' in text
    assert '| 53.0 | 26.5 | +1.0 | +0.5 | 120 / more than 120 |' in text
    points = parts['curve'].points_of(lines, 'mAP50')
    assert points['steel, val: small, 256 px']['agssp (trained), 4 epochs'] == [(60, 47.0, 0.0), (120, 53.0, 0.0)]
    parts['curve'].draw_curve(lines, tmp_path / 'deep' / 'curve.png')
    alone = line(40.0, **few, split='dev')
    assert len(parts['curve'].points_of([*lines, alone], 'mAP50')) == 2
    parts['curve'].draw_curve([*lines, alone], tmp_path / 'both.png')
    assert (tmp_path / 'both.png').read_bytes() == (tmp_path / 'deep' / 'curve.png').read_bytes()
    parts['curve'].draw_curve([alone], tmp_path / 'alone.png')
    assert cv2.imread(str(tmp_path / 'deep' / 'curve.png')).std() > 5
    with pytest.raises(ValueError, match='nothing to draw'):
        parts['curve'].draw_curve([line(40.0)], tmp_path / 'curve.png')


def test_more_starts_than_colours_are_told_apart(parts, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr('matplotlib.figure.Figure.savefig', lambda figure, file, **_: drawn.append(figure))
    lines = [line(40.0 + number, labels=labels, num_labels=count, init='agssp', recipe=f'trained+{number}')
             for number in range(12) for labels, count in (('few', 60), ('many', 120))]
    parts['curve'].draw_curve(lines, tmp_path / 'curve.png')
    [axes] = drawn[0].axes
    shown = {(container.lines[0].get_color(), container.lines[0].get_marker()) for container in axes.containers}
    assert len(axes.containers) == len(shown) == 12


def test_lines_of_other_image_sizes_are_not_compared(parts):
    grouped = parts['summary'].cells([line(50.0), line(40.0, image_size=192, amp=True, init='agdp', recipe='trained')])
    key = ('steel', 'small, 192 px, mixed precision', 'val', 'train_10pct', ('agdp', 'trained', 4))
    assert key in grouped and parts['summary'].difference(grouped, key, 'mAP') is None


def test_no_run_is_started_that_would_end_too_late(parts):
    late = runpy.run_path(str(SCRIPT))['_too_late']
    assert not late(1.0, 0.0, 0) and not late(1.0, 30.0, 1) and late(1.0, 31.0, 1)
    assert not late(1.0, 40.0, 2) and late(1.0, 41.0, 2)


def test_metrics_are_those_of_the_last_measurement(parts, tmp_path):
    from transfer_parts.stages import metrics_of
    assert metrics_of(tmp_path) == dict(mAP=0.0, mAP50=0.0, per_class={})
    for start, value in (('20260101', 0.1), ('20260102', 0.25)):
        folder = tmp_path / start / 'vis_data'
        folder.mkdir(parents=True)
        measured = {'coco/bbox_mAP': value, 'coco/bbox_mAP_50': 2 * value, 'coco/pit_precision': value, 'step': 1}
        (folder / 'scalars.json').write_text(f'{json.dumps(measured)}\n{json.dumps(dict(loss=1.0))}\n')
    assert metrics_of(tmp_path) == dict(mAP=25.0, mAP50=50.0, per_class=dict(pit=25.0))


def test_label_saving_interpolates_between_label_sets(parts):
    saving = parts['summary'].label_saving
    sizes, baseline = dict(few=60, some=120, many=300), dict(few=40.0, some=50.0, many=60.0)
    assert saving(sizes, baseline, 55.0) == pytest.approx(210)
    assert saving(sizes, baseline, 60.0) == pytest.approx(300)
    assert saving(sizes, baseline, 30.0) == pytest.approx(60)
    assert saving(sizes, baseline, 61.0) is None


@pytest.mark.parametrize('name, message', [
    ('{index}.jpg', None),
    ('{kind}_{index}.jpg', 'the names of the images tell their class'),
    ('{kind}/{index}.jpg', 'the names of the images .*100% right by them, 50% blindly'),
    ('{number}/img_7_{index}.jpg', 'the folders of the images tell their class'),
    ('{number}_{index:04}.jpg', 'the first numbers in the names of the images tell their class')])
def test_names_that_tell_the_class_are_refused(parts, tmp_path, name, message):
    path, images = tmp_path / 'train.json', range(8)
    names = [name.format(index=index, number=index % 2, kind=('pit', 'scratch')[index % 2]) for index in images]
    path.write_text(json.dumps(dict(images=[dict(id=index, file_name=names[index]) for index in images],
                                    annotations=[dict(image_id=index, category_id=index % 2) for index in images])))
    with pytest.raises(ValueError, match=message) if message else contextlib.nullcontext():
        parts['leaks'].check_names(path)


def test_names_that_are_all_different_or_random_tell_nothing(parts, tmp_path):
    path, rng = tmp_path / 'train.json', np.random.default_rng(0)
    for names in ([bytes(rng.bytes(16)).hex() for _ in range(120)],
                  [f'{"abcdefgh"[rng.integers(8)]}{rng.integers(20)}_{index}.jpg' for index in range(120)]):
        path.write_text(json.dumps(dict(
            images=[dict(id=index, file_name=name) for index, name in enumerate(names)],
            annotations=[dict(image_id=index, category_id=index % 6) for index in range(len(names))])))
        parts['leaks'].check_names(path)


def test_a_training_that_was_killed_in_its_evaluation_is_evaluated(parts, tmp_path, monkeypatch):
    from transfer_parts import stages
    asked = []

    def evaluate(config, options, checkpoint, folder):
        asked.append((config, checkpoint))
        return {'coco/bbox_mAP': 0.3, 'coco/bbox_mAP_50': 0.6, 'coco/pit_precision': 0.3}

    monkeypatch.setattr(stages, 'evaluate', evaluate)
    torch.save(dict(state_dict={}), tmp_path / 'epoch_1.pth')
    assert stages.metrics_of(tmp_path) == dict(mAP=30.0, mAP50=60.0, per_class=dict(pit=30.0))
    assert asked == [(tmp_path / 'config.py', tmp_path / 'epoch_1.pth')]


@pytest.mark.parametrize('changed', ['weights.pth', 'labels.json', 'names.txt', 'boxes.json'])
def test_a_training_of_what_has_changed_since_is_not_taken_for_done(parts, tmp_path, monkeypatch, changed):
    stages, trained = parts['stages'], []
    monkeypatch.setattr(stages, 'train', lambda config, options, folder: trained.append(folder.name))
    files = {name: tmp_path / name for name in ('weights.pth', 'labels.json', 'names.txt', 'boxes.json')}
    for path in files.values():
        path.write_text('one')
    dataset = dict(images=str(files['names.txt']), boxes=str(files['boxes.json']), ann_file='labels.json',
                   data_root=f'{tmp_path}/')
    bench = SimpleNamespace(work_dir=tmp_path / 'work')

    def run():
        cfg = Config(dict(load_from=str(files['weights.pth']), train_dataloader=dict(dataset=dataset)))
        stages._run_once(cfg, bench, 'finetune', 'one', 3, {})

    run()
    run()
    assert trained == ['one']
    files[changed].write_text('other')
    with pytest.raises(ValueError, match='or of weights, maps, boxes or lists that have changed since'):
        run()


def test_settings_of_the_rule_are_left_out_where_boxes_are_finished(parts, monkeypatch):
    from transfer_parts import stages
    given = []
    monkeypatch.setattr(stages, '_run_once', lambda *arguments: given.append(arguments[-1]))
    bench = SimpleNamespace(options=dict(pretrain={}, agdp={'train_dataloader.dataset.rule.threshold': 0.5, 'a.b': 1}))
    for rule in (dict(type='ComponentTreeBoxRule'), None):
        cfg = ConfigDict(train_dataloader=dict(dataset=dict(rule=rule)))
        stages._pretrain_once(cfg, bench, parts['grid'].Run(**RUN), 'agssp-trained+round2')
    assert given == [bench.options['agdp'], {'a.b': 1}]


def test_lines_of_other_options_are_not_averaged(parts):
    def line(seed, **more):
        return dict(init='imagenet', recipe=None, epochs=1, detector='d', image_size=64, amp=False, dataset='s',
                    split='dev', labels='few', seed=seed, pretrain_seed=None, metrics=dict(mAP=1.0, mAP50=2.0), **more)

    cells = parts['summary'].cells
    assert len(cells([line(0), line(1, options={}), line(2, options={})])) == 1
    with pytest.raises(ValueError, match=r"s / d, 64 px / .*options \{\} and \{'finetune': \{'lr': 1\}\}"):
        cells([line(0), line(1, options={}), line(0, options=dict(finetune=dict(lr=1)))])


@pytest.fixture
def steel(tmp_path):
    """Images of noise with a bright box each: 8 of train, of which 4 are labelled, and 4 of val."""
    for part, start, count in (('train', 0, 8), ('val', 8, 4)):
        folder = tmp_path / 'steel' / 'images' / part
        folder.mkdir(parents=True)
        images, boxes = [], []
        for index in range(start, start + count):
            image = np.random.default_rng(index).integers(40, 160, (64, 64), dtype=np.uint8)
            x, y = 4 + 3 * index, 40 - 3 * index
            image[y:y + 16, x:x + 20] = 230
            cv2.imwrite(str(folder / f'{index}.png'), image)
            images.append(dict(id=index, file_name=f'{index}.png', width=64, height=64))
            boxes.append(dict(id=index + 1, image_id=index, category_id=1 + index % 2, bbox=[x, y, 20, 16], area=320,
                              iscrowd=0))
        annotations = tmp_path / 'steel' / 'annotations'
        annotations.mkdir(exist_ok=True)
        for name, number in ((part, count), *([('train_10pct', 4)] if part == 'train' else [])):
            (annotations / f'{name}.json').write_text(json.dumps(dict(
                images=images[:number], annotations=boxes[:number],
                categories=[dict(id=1, name='pit'), dict(id=2, name='scale')])))
    return tmp_path / 'steel'


def test_images_without_a_box_are_learnt_from_where_there_are_any(parts, tmp_path):
    pipeline = [ConfigDict(type='RandomResize', scale=8), ConfigDict(type='RandomCrop', crop_size=8)]
    labels = dict(images=[dict(id=1), dict(id=2)], annotations=[dict(image_id=1), dict(image_id=2), dict(image_id=2)])
    annotations = tmp_path / 'labels.json'
    annotations.write_text(json.dumps(labels))
    parts['stages'].keep_sound_images(pipeline, annotations)
    assert pipeline[1] == dict(type='RandomCrop', crop_size=8)
    labels['annotations'][0]['image_id'] = 2
    annotations.write_text(json.dumps(labels))
    parts['stages'].keep_sound_images(pipeline, annotations)
    assert pipeline == [dict(type='RandomResize', scale=8),
                        dict(type='RandomCrop', crop_size=8, allow_negative_crop=True)]


def test_a_picture_of_val_in_train_stops_the_grid(steel, tmp_path):
    image = cv2.imread(str(steel / 'images' / 'val' / '9.png'))
    cv2.imwrite(str(steel / 'images' / 'train' / 'again.jpg'), np.rot90(image))
    done = script('--dataset', 'steel', '--init', 'imagenet', '--split', 'val', '--out', tmp_path / 'lines.jsonl',
                  '--work-dir', tmp_path / 'work', '--dry-run', AGSSP_DATA_ROOT=str(tmp_path))
    assert done.returncode == 2
    assert '1 of 4 images of the evaluation are in the pretraining too: 9.png = again.jpg' in done.stderr


def test_labelled_images_that_are_measured_on_stop_the_grid(steel, tmp_path):
    annotations = steel / 'annotations'
    (annotations / 'dev.json').write_text((annotations / 'train_10pct.json').read_text())
    done = script('--dataset', 'steel', '--init', 'imagenet', '--out', tmp_path / 'lines.jsonl', '--labels', 'train',
                  '--work-dir', tmp_path / 'work', '--dry-run', AGSSP_DATA_ROOT=str(tmp_path))
    assert done.returncode == 2
    assert '4 of 4 images of dev are in the labels of train too, e.g. 0.png, 1.png, 2.png' in done.stderr


@pytest.mark.parametrize('arguments, message', [
    (['--init', 'imagenet'], 'give --out'),
    (['--out', 'x.jsonl', '--dataset', 'copper'], 'set AGSSP_DATA_ROOT'),
    (['--out', 'x.jsonl', '--split', 'val', '--dataset', 'steel'], 'need --store'),
    (['--out', 'x.jsonl', '--split', 'val', '--dataset', 'steel', '--init', 'coco'], 'needs --coco FILE'),
    (['--summary', 'gone.jsonl'], 'gone.jsonl is no file'),
    (['--out', 'x.jsonl', '--split', 'val', '--dataset', 'steel', '--init', 'random', '--detector', 'faster-rcnn_r50',
      '--dry-run'], 'the benchmark needs the configs of a detector that end in _imagenet'),
    (['--out', 'x.jsonl', '--curve', 'curve.png'], 'go with --summary'),
])
def test_bad_input_is_one_line(steel, tmp_path, arguments, message):
    done = script(*arguments, AGSSP_DATA_ROOT=str(tmp_path))
    assert done.returncode == 2
    assert message in done.stderr.strip().splitlines()[-1]


@pytest.mark.slow
def test_a_grid_runs_and_is_not_run_again(steel, tmp_path):
    environment = dict(AGSSP_DATA_ROOT=str(tmp_path))
    out, store = tmp_path / 'lines.jsonl', tmp_path / 'maps'
    subprocess.run([sys.executable, str(ROOT / 'tools' / 'generate_maps.py'), str(steel / 'images' / 'train'),
                    str(store)], check=True)
    small = ['train_dataloader.batch_size=2', 'train_dataloader.num_workers=0',
             'train_dataloader.persistent_workers=False']
    arguments = ['--dataset', 'steel', '--init', 'random', 'imagenet', 'agssp', 'oracle', '--split', 'val', '--store',
                 store, '--out', out, '--work-dir', tmp_path / 'work', '--seeds', '3', '--epochs', '1',
                 '--image-size', '96', '--amp', '--recipe', 'trained+round3', '--pretrain-options', *small,
                 'train_cfg.max_epochs=1', '--agdp-options', 'optim_wrapper.clip_grad.max_norm=7.5',
                 '--finetune-options', *small]
    done = script(*arguments, **environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    lines = [json.loads(text) for text in out.read_text().splitlines()]
    assert [(one['init'], one['recipe'], one['pretrain_seed'], one['seed']) for one in lines] == [
        ('random', None, None, 3), ('imagenet', None, None, 3), ('agssp', 'trained+round3', 0, 3),
        ('oracle', 'trained+round3', 0, 3)]
    assert all(0 <= one['metrics']['mAP'] <= one['metrics']['mAP50'] <= 100 for one in lines)
    starts = [one['weights_sha256'] for one in lines]
    assert starts[:2] == [None, None] and len({*starts[2:]}) == 2
    folders = {path.parent.name: path for path in (tmp_path / 'work' / 'pretrain').glob('*/next_round.json')}
    assert ['agssp-trained+round2-96' in name for name in sorted(folders)] == [True, False]
    assert 'agssp-trained-96' in max(folders)
    boxes = json.loads(max(folders.values()).read_text())
    assert [image['file_name'] for image in boxes['images']] == [f'{index}.png' for index in range(8)]
    again = script(*arguments, **environment)
    assert '4 runs, 4 of them done' in again.stdout and len(out.read_text().splitlines()) == 4
    started = (tmp_path / 'work' / 'pretrain').glob('*/done')
    times = {path: path.stat().st_mtime_ns for path in started}
    more = script(*arguments, '--init', 'agssp', '--seeds', '3', '4', **environment)
    assert '2 runs, 1 of them done' in more.stdout and len(out.read_text().splitlines()) == 5, more.stderr[-3000:]
    assert {path: path.stat().st_mtime_ns for path in times} == times and len(times) == 5
    with_options = {path.parent.name for path in (tmp_path / 'work').glob('*/*/wanted.txt')
                    if 'max_norm=7.5' in path.read_text()}
    assert with_options == {path.parent.name for path in times if 'agbp' not in path.parent.name}
    assert [one['num_labels'] for one in lines] == [4] * 4
    assert [sorted(one['options']) for one in lines] == [
        ['finetune'], ['finetune'], *[['agdp', 'finetune', 'pretrain']] * 2]
    table = script('--summary', out, '--page', tmp_path / 'page.md', '--curve', tmp_path / 'curve.png').stdout
    assert table.strip() in (tmp_path / 'page.md').read_text() and '(curve.png)' in (tmp_path / 'page.md').read_text()
    assert '| val | train_10pct | oracle (trained+round3) | 1 | 1 |' in table
    assert '| steel | retinanet_efficientnet-lite0, 96 px, mixed precision | val |' in table


def test_the_grid_script_makes_maps_and_passes_options_on(steel, tmp_path):
    grid = SCRIPT.with_name('transfer_grid.sh')
    refused = subprocess.run([str(grid), str(tmp_path / 'out')], capture_output=True, text=True)
    assert refused.returncode == 2 and 'OUT MINUTES' in refused.stderr
    done = subprocess.run(
        [str(grid), str(tmp_path / 'out'), '5', 'steel', '--init', 'imagenet', 'agssp', '--split', 'val', '--dry-run'],
        capture_output=True, text=True, env={**os.environ, 'AGSSP_DATA_ROOT': str(tmp_path), 'PYTHON': sys.executable})
    assert done.returncode == 0, done.stderr
    assert '8 maps written' in done.stdout and '6 runs, 0 of them done' in done.stdout
    assert (tmp_path / 'out' / 'maps' / 'maps.json').is_file()
