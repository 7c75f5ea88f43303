"""The demo's trainings side by side."""
import contextlib
import io
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / 'tools'))

from demo_parts.lanes import ONE_AT_A_TIME, run_in_lanes, say  # noqa: E402


def test_jobs_run_beside_the_chain_and_others_wait_for_its_end():
    done, both = [], threading.Barrier(2, timeout=30)
    meet = [lambda: (both.wait(), done.append('chain 1')), lambda: done.append('chain 2')]
    run_in_lanes(meet, [lambda: (both.wait(), done.append('beside'))], [lambda: done.append('after')], lanes=2)
    assert done.index('chain 1') < done.index('chain 2') < done.index('after')
    assert sorted(done) == ['after', 'beside', 'chain 1', 'chain 2']


def test_one_lane_keeps_the_order():
    done = []
    run_in_lanes([lambda: done.append(1), lambda: done.append(2)], [lambda: done.append(3)],
                 [lambda: done.append(4), lambda: done.append(5)], lanes=1)
    assert done == [1, 2, 3, 4, 5]


def test_after_an_error_nothing_new_starts_and_it_is_raised():
    done = []

    def fail():
        raise RuntimeError('no disk space')

    with pytest.raises(RuntimeError, match='no disk space'):
        run_in_lanes([fail, lambda: done.append('chain')], [], [lambda: done.append('after')], lanes=1)
    assert done == []


def test_an_error_beside_the_chain_stops_the_chain_too():
    done, failed = [], threading.Event()

    def fail():
        failed.set()
        raise RuntimeError('no disk space')

    def outlast():
        assert failed.wait(timeout=30)
        time.sleep(0.2)
        done.append('first')

    with pytest.raises(RuntimeError, match='no disk space'):
        run_in_lanes([outlast, lambda: done.append('second')], [fail, lambda: done.append('beside')],
                     [lambda: done.append('after')], lanes=2)
    assert done == ['first']


def test_a_line_is_kept_until_the_other_lane_has_ended_its_silence(capsys):
    speaker = threading.Thread(target=say, args=('[4/9] AGDP ...', ))
    with ONE_AT_A_TIME, contextlib.redirect_stdout(io.StringIO()) as swallowed:
        speaker.start()
        speaker.join(timeout=0.2)
    speaker.join(timeout=30)
    assert capsys.readouterr().out == '[4/9] AGDP ...\n'
    assert swallowed.getvalue() == ''
