import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agssp_mm.cli import main
from agssp_mm.commands.options import build_rule, rule_names
from agssp_mm.maps.finish import finish_store
from agssp_mm.maps.plan import PlannedImage
from agssp_mm.maps.store import MapStore
from agssp_mm.teachers.calibrate import Calibration

SCRIPT = Path(__file__).parents[2] / 'tools' / 'make_boxes.py'


@pytest.fixture
def store(tmp_path):
    """Two images of 40 x 60: a faint block at (8, 6, 28, 18), and a bright one at the same place."""
    path = tmp_path / 'store'
    path.mkdir()
    meta = {'format': 1, 'complete': False, 'calibration': Calibration('linear', 2.0).to_dict(), 'statistics': {},
            'skipped': {}}
    plan = [PlannedImage('0', 'faint.png', 'default'), PlannedImage('1', 'bright.png', 'default')]
    opened = MapStore(path, meta)
    for planned, value in zip(plan, (0.6, 1.6), strict=True):
        raw = np.full((20, 30), 0.2, np.float32)
        raw[3:9, 4:14] = value
        opened.write(planned.name, raw, value, (40, 60))
    finish_store(opened, plan, {})
    return path


@pytest.fixture
def annotations(tmp_path):
    path = tmp_path / 'true.json'
    path.write_text(json.dumps(dict(
        images=[dict(id=1, file_name='faint.png'), dict(id=2, file_name='bright.png')],
        categories=[dict(id=1, name='pit')],
        annotations=[dict(id=i, image_id=i, category_id=1, bbox=[8, 6, 20, 12]) for i in (1, 2)])))
    return path


def table_of(output):
    rows = [line.rsplit(maxsplit=2) for line in output.splitlines()]
    return {row[0].strip(): row[1:] for row in rows if len(row) == 3}


def test_writes_boxes_and_compares_both_rules(store, annotations, tmp_path, capsys):
    out = tmp_path / 'boxes.json'
    assert main(['make-boxes', str(store), str(out), '--annotations', str(annotations)]) == 0
    printed = capsys.readouterr().out
    assert '2 pseudo boxes in 2 images, 0 images without' in printed
    assert '2 of 2 images have annotations' in printed and printed.split('annotations\n')[1].split()[:2] == \
        ['component-tree', 'paper']
    table = table_of(printed)
    # The mean peak is 1.1: the published rule, threshold 1.0, misses the faint block.
    assert table['recall at IoU 0.3'] == ['1.000', '0.500'] and table['precision at IoU 0.5'] == ['1.000', '1.000']
    assert table['boxes per image'] == ['1.000', '0.500']
    assert table['recall at IoU 0.5, pit'] == ['1.000', '0.500']
    coco = json.loads(out.read_text())
    assert coco['info']['rule'] == 'ComponentTreeBoxRule' and len(coco['annotations']) == 2


def test_chosen_rule_takes_its_options(store, annotations, tmp_path, capsys):
    out = tmp_path / 'boxes.json'
    arguments = ['make-boxes', str(store), str(out), '--rule', 'paper', '--rule-options', 'offset=0.6']
    assert main([*arguments, '--annotations', str(annotations)]) == 0
    assert table_of(capsys.readouterr().out)['recall at IoU 0.3'] == ['1.000', '1.000']
    coco = json.loads(out.read_text())
    assert coco['info']['settings'] == dict(offset=0.6, compat_nms=False)
    assert [annotation['bbox'] for annotation in coco['annotations']] == [[8, 6, 20, 12], [7, 5, 22, 14]]


def test_per_image_keeps_the_best_boxes_of_all_images_together(store, annotations, tmp_path, capsys):
    out = tmp_path / 'boxes.json'
    assert main(['make-boxes', str(store), str(out), '--per-image', '0.5', '--annotations', str(annotations)]) == 0
    printed = capsys.readouterr().out
    assert '1 pseudo boxes in 2 images, 1 images without' in printed
    assert table_of(printed)['boxes per image'] == ['0.500', '0.500']  # the other rules keep as many
    coco = json.loads(out.read_text())
    names = {image['id']: image['file_name'] for image in coco['images']}
    assert [names[each['image_id']] for each in coco['annotations']] == ['bright.png']
    assert len(coco['images']) == 2 and coco['info']['per_image'] == 0.5


@pytest.mark.parametrize('arguments, message', [
    (['--per-image', '0'], 'per_image is the mean number of boxes per image and must be > 0 and finite, got 0'),
    (['--rule', 'magic'], "unknown box rule 'magic'; there are: component-tree, paper"),
    (['--rule-options', 'offest=1'], "box rule 'component-tree' refuses the settings {'offest': 1}"),
    (['--rule', 'paper', '--rule-options', 'offset=-1'], 'offset is subtracted from the mean peak'),
    (['--annotations', 'none.json'], 'no annotations at none.json'),
])
def test_bad_settings_stop_before_anything_is_made(store, tmp_path, capsys, arguments, message):
    out = tmp_path / 'boxes.json'
    assert main(['make-boxes', str(store), str(out), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists() and not (store / 'boxes').exists()


def test_rules_are_named_after_their_classes():
    assert rule_names() == {'component-tree': 'ComponentTreeBoxRule', 'paper': 'PaperBoxRule'}
    assert build_rule('paper', {'compat_nms': True}).compat_nms is True


def test_script_is_the_command(tmp_path):
    result = subprocess.run([sys.executable, SCRIPT, tmp_path / 'none', tmp_path / 'boxes.json'], capture_output=True,
                            text=True)
    assert result.returncode == 2 and result.stderr.startswith('make_boxes.py: error: no map store at')
