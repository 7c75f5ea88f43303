import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / 'tools' / 'benchmarks' / 'hook_overhead.py'


@pytest.mark.slow
def test_it_prints_the_median_ratio_with_its_interval():
    command = [sys.executable, str(SCRIPT), '--pairs', '6', '--depth', '18', '--batch-size', '2', '--size', '32',
               '--threads', '1']
    done = subprocess.run(command, capture_output=True, text=True, timeout=300,
                          env=dict(os.environ, PYTHONPATH=str(ROOT)))
    number = r'(\d\.\d{4})'
    wall = re.search(rf'wall time +with/without {number}  \(95 % interval {number} to {number}\)', done.stdout)
    assert wall, done.stdout + done.stderr
    median, low, high = map(float, wall.groups())
    assert 0 < low <= median <= high
    assert re.search(rf'processor time with/without {number}', done.stdout)
    assert done.returncode == (median > 1.03)
