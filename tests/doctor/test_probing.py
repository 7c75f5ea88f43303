"""The steps in child processes: good ones, failing ones, crashing ones, one that hangs."""
import pytest

from agssp_mm.doctor.probing import STEPS, run_steps

SCRIPT = '''
import json, os, sys, time
for name in sys.argv[1:]:
    print("start", name, flush=True)
    if name == "crash":
        os.kill(os.getpid(), 11)
    if name == "hang":
        time.sleep(60)
    if name == "leave":
        sys.exit("no more")
    print("noise\\n" + json.dumps(dict(step=name, value=len(name))), flush=True)
'''


@pytest.fixture
def script(tmp_path):
    (tmp_path / 'steps.py').write_text(SCRIPT)
    return tmp_path / 'steps.py'


def test_a_crash_costs_one_step_and_the_rest_goes_on(script):
    answers = run_steps(['a', 'crash', 'bb', 'leave', 'ccc'], script=script)
    assert [answers[name]['value'] for name in ('a', 'bb', 'ccc')] == [1, 2, 3]
    assert answers['crash'] == dict(error='the process crashed (killed by SIGSEGV)', kind='crash')
    assert answers['leave']['error'] == 'the process crashed (exit status 1): no more'


def test_a_step_that_hangs_is_cut_off(script):
    answers = run_steps(['a', 'hang', 'bb'], seconds=2, script=script)
    assert answers['hang'] == dict(error='still busy after 2 s', kind='timeout')
    assert answers['bb'] == dict(value=2)


@pytest.mark.slow
def test_the_real_steps_work_here():
    answers = run_steps()
    assert tuple(answers) == STEPS
    assert not [answer for answer in answers.values() if 'error' in answer]
    assert answers['ops']['devices'][0] == 'cpu'


def test_a_missing_package_is_told_from_a_broken_one(monkeypatch, tmp_path):
    (tmp_path / 'cv2.py').write_text('raise ImportError("libGL.so.1: cannot open shared object file")')
    (tmp_path / 'mmengine.py').write_text('import no_such_package')
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    answers = run_steps(['cv2', 'mmengine'])
    assert answers['cv2'] == dict(error='ImportError: libGL.so.1: cannot open shared object file', kind='ImportError')
    assert answers['mmengine']['kind'] == 'ModuleNotFoundError'
