"""`agssp doctor` as it is called."""
import json
import os
import subprocess
import sys

import pytest

from agssp_mm import cli
from agssp_mm._dependencies import asked_for_doctor
from agssp_mm.commands import doctor
from agssp_mm.doctor.finding import NOTE, OK, PROBLEM, Finding

FINE = [Finding('python', OK, '3.11'), Finding('extra kead', NOTE, 'open_clip missing', 'pip install open_clip_torch')]
BAD = [*FINE, Finding('mmcv', PROBLEM, 'not installed', 'pip install onedl-mmcv')]


def test_lines_and_exit_status(monkeypatch, capsys):
    monkeypatch.setattr(doctor, 'check_up', lambda work_dir: FINE)
    assert cli.main(['doctor']) == 0
    assert capsys.readouterr().out.endswith('\nno problems\n')
    monkeypatch.setattr(doctor, 'check_up', lambda work_dir: BAD)
    assert cli.main(['doctor']) == 1
    assert capsys.readouterr().out.splitlines() == [
        'ok       python: 3.11', 'note     extra kead: open_clip missing',
        '         if wanted: pip install open_clip_torch', 'problem  mmcv: not installed',
        '         mend: pip install onedl-mmcv', '', '1 problem(s): mmcv']


def test_json_for_scripts(monkeypatch, capsys):
    monkeypatch.setattr(doctor, 'check_up', lambda work_dir: BAD)
    assert cli.main(['doctor', '--json']) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer['ok'] is False
    assert answer['findings'][2] == dict(name='mmcv', status='problem', text='not installed',
                                         mend='pip install onedl-mmcv')


@pytest.mark.parametrize('words, asked', [
    (['/venv/bin/agssp', 'doctor', '--json'], True), (['/venv/bin/agssp', 'pretrain'], False),
    (['train.py', 'doctor'], False), ([], False)])
def test_only_the_doctor_is_let_through_the_check_of_the_dependencies(words, asked):
    assert asked_for_doctor(words) is asked


@pytest.mark.slow
def test_where_everything_is_missing_it_says_so(tmp_path):
    """As on a machine without torch and OpenMMLab: a stand-in for each says what Python would say."""
    for name in ('torch', 'torchvision', 'mmengine', 'mmcv', 'mmdet', 'mmpretrain', 'cv2'):
        (tmp_path / f'{name}.py').write_text(f'raise ModuleNotFoundError("No module named {name!r}", name="{name}")')
    script = tmp_path / 'agssp'
    script.write_text('import sys\nfrom agssp_mm.cli import main\nsys.exit(main())\n')
    done = subprocess.run([sys.executable, script, 'doctor', '--json'], capture_output=True, text=True, env={
        **os.environ, 'PYTHONPATH': os.pathsep.join([str(tmp_path), *sys.path])})
    assert done.returncode == 1, done.stderr
    problems = {finding['name'] for finding in json.loads(done.stdout)['findings'] if finding['status'] == PROBLEM}
    assert {'torch', 'mmengine', 'mmcv', 'mmdet', 'opencv', 'compiled operators of mmcv'} <= problems
