"""What .ci/run makes of its parts, which a pretended `make` and a pretended pytest play here."""
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# `make TARGET` and `python -m pytest` note themselves and do what the environment says: an exit status, or "sleep".
PRETENDER = '''#!/usr/bin/env bash
part=${!#}; [[ $part != -x ]] || part=slow
echo "$part" >> parts
act=ACT_${part//-/_}; act=${!act:-0}
[[ $act != sleep ]] || sleep 30
exit "${act/sleep/0}"
'''


@pytest.fixture
def ci(tmp_path):
    (tmp_path / '.ci').mkdir()
    script = tmp_path / '.ci' / 'run'
    shutil.copy(ROOT / '.ci' / 'run', script)
    for path in ('bin/make', '.venv/bin/python', 'bin/chromium', 'bin/apt-get'):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(PRETENDER)
        (tmp_path / path).chmod(0o755)

    def run(**acts):
        done = subprocess.run([script], capture_output=True, text=True, env={
            **os.environ, **{f'ACT_{part}': act for part, act in acts.items()}, 'PATH': run.path})
        return done.returncode, (tmp_path / 'parts').read_text().split(), done.stdout.splitlines()

    run.script, run.bin = script, tmp_path / 'bin'
    run.path = f'{run.bin}{os.pathsep}{os.environ["PATH"]}'
    return run


def test_all_parts_run_and_the_last_line_says_so(ci):
    status, parts, lines = ci()
    assert (status, parts) == (0, ['setup', 'test', 'slow', 'demo-smoke'])
    assert lines[-1].startswith('CI passed in 0:0')


@pytest.mark.parametrize('part, name', [('test', 'suite'), ('slow', 'slow tests'), ('demo_smoke', 'demo')])
def test_a_failure_fails_and_stops_no_other_part(ci, part, name):
    status, parts, lines = ci(**{part: '2'})
    assert (status, parts) == (1, ['setup', 'test', 'slow', 'demo-smoke'])
    assert lines[-1].startswith('CI FAILED')
    assert lines[-1].endswith(f'minutes: {name} (exit status 2)')


def test_without_a_set_up_nothing_else_can_run(ci):
    status, parts, lines = ci(setup='1')
    assert (status, parts) == (1, ['setup'])
    assert lines[-1].endswith('set-up (exit status 1)')


def shorten(ci, total, demo):
    text = ci.script.read_text()
    assert 'TOTAL=3420 ' in text and ' DEMO=800 ' in text
    ci.script.write_text(text.replace('TOTAL=3420 ', f'TOTAL={total} ').replace(' DEMO=800 ', f' DEMO={demo} '))


def test_slow_tests_that_run_out_of_time_are_noted(ci):
    shorten(ci, total=62, demo=1)
    ci.script.write_text(ci.script.read_text().replace('"$seconds" .venv', '1 .venv'))
    status, parts, lines = ci(slow='sleep')
    assert (status, parts) == (0, ['setup', 'test', 'slow', 'demo-smoke'])
    assert any(line.startswith('note: the slow tests ran out of time') for line in lines)
    assert lines[-1].startswith('CI passed')


def test_slow_tests_without_time_left_are_noted(ci):
    shorten(ci, total=30, demo=1)
    status, parts, lines = ci()
    assert (status, parts) == (0, ['setup', 'test', 'demo-smoke'])
    assert 'note: no time was left for the slow tests' in lines


def test_a_demo_that_runs_out_of_time_fails(ci):
    shorten(ci, total=30, demo=1)
    status, _, lines = ci(demo_smoke='sleep')
    assert status == 1
    assert lines[-1].endswith('demo (stopped after 1 s)')


@pytest.mark.parametrize('act, note', [
    ('0', []), ('1', ['note: Chromium could not be installed: its tests are skipped'])])
def test_a_browser_is_installed_where_there_is_none_and_may_fail(ci, act, note):
    (ci.bin / 'chromium').unlink()
    for tool in ('bash', 'env', 'dirname', 'timeout', 'sleep'):
        (ci.bin / tool).symlink_to(shutil.which(tool))
    ci.path = str(ci.bin)  # where no real browser is found
    (ci.bin / 'apt-get').write_text(f'#!/usr/bin/env bash\necho "apt-$1" >> parts\nexit {act}\n')
    status, parts, lines = ci()
    assert status == 0
    assert parts == ['setup', 'apt-update', *(['apt-install'] if act == '0' else []), 'test', 'slow', 'demo-smoke']
    assert [line for line in lines if line.startswith('note: Chromium')] == note
