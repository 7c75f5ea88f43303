"""The demo from end to end, as small as it gets."""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest

ROOT = Path(__file__).parents[2]


def _command(work_dir):
    return [sys.executable, str(ROOT / 'tools' / 'demo.py'), '--smoke', '--seeds', '1', '--work-dir', str(work_dir)]


def _run(work_dir):
    done = subprocess.run(_command(work_dir), capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_bad_number_of_seeds_is_refused(tmp_path):
    done = subprocess.run([*_command(tmp_path), '--seeds', '0'], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert '--seeds must be at least 1, got 0' in done.stderr


@pytest.mark.slow
def test_demo_continues_ends_with_a_table_and_skips_what_is_done(tmp_path):
    # interrupt it in its first training
    child = subprocess.Popen(_command(tmp_path), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             start_new_session=True)
    while child.poll() is None and not (tmp_path / 'agbp' / 'train.log').exists():
        time.sleep(0.1)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()

    output = _run(tmp_path)
    assert '[2/7] anomaly maps of the unlabelled images: done before' in output
    assert '[3/7] AGBP: distilling the maps into the backbone ...' in output
    table = [line.split() for line in output.splitlines()]
    assert ['seed', 'mAP', 'mAP50', 'mAP', 'mAP50', 'mAP', 'mAP50'] in table
    assert sum(line[:1] == ['mean'] and len(line) == 7 for line in table) == 1

    results = json.loads((tmp_path / 'results.json').read_text())
    assert {Path(path).name for path in results['checkpoints']} == {'backbone.pth', 'detector.pth', 'epoch_1.pth'}
    for path in [*results['checkpoints'], *results['pictures']]:
        assert path in output
        assert Path(path).stat().st_size > 10_000
    picture = cv2.imread(results['pictures'][0])
    assert picture.shape[1] > 3 * picture.shape[0] / 2  # six columns, two rows and the legend
    assert picture.std() > 30
    assert f'page that shows it all: {tmp_path / "report.html"}' in output
    page = (tmp_path / 'report.html').read_text()
    assert 'Not there yet' not in page and 'class="note missing"' not in page
    _check_pictures_of_the_documentation(tmp_path)

    again = _run(tmp_path)
    assert again.count('done before') == 7
    assert '...' not in again
    assert json.loads((tmp_path / 'results.json').read_text()) == results


def _check_pictures_of_the_documentation(demo):
    """draw_concepts.py draws every picture of the documentation from a finished demo."""
    done = subprocess.run([sys.executable, str(ROOT / 'tools' / 'draw_concepts.py'), str(demo), '--out',
                           str(demo / 'drawn')], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    committed = {path.name for path in (ROOT / 'docs' / 'pictures').iterdir()}
    assert committed == {'maps.webp', 'thresholds.webp', 'distillation.webp', 'detections.webp', 'demo.webp'}
    for name in committed:
        picture = cv2.imread(str(demo / 'drawn' / name))
        assert picture.shape[1] <= 960 and picture.std() > 20, name


def test_without_a_demo_there_is_nothing_to_draw(tmp_path):
    done = subprocess.run([sys.executable, str(ROOT / 'tools' / 'draw_concepts.py'), str(tmp_path)],
                          capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2 and 'run make demo first' in done.stderr
