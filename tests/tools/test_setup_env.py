"""The set-up script with a Python that only pretends: which steps run, run again, or go on after a failure."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Notes every pip command; `pip wheel` fails while the file `broken` exists, and makes a wheel otherwise.
FAKE_PYTHON = '''#!/usr/bin/env bash
base=BASE words=$*
case "$*" in
*_base_executable*) echo "$base/python" ;;
'-VV' | '--version') echo 'Python 3.11.0' ;;
'-m venv .venv') mkdir -p .venv/bin; cp "$base/python" .venv/bin/python ;;
*get_config_var*) echo cc ;;
*get_path*) echo "$base/include" ;;
*version_info*platform* | *platform*version_info*) echo torch9-cp311-x86 ;;
*'print(f"cp{'*) echo cp311 ;;
-) echo cpu ;;
'-m pip'*)
    echo "$*" >> "$base/calls"
    case "$*" in
    *--only-binary*)
        [[ -f $base/offered ]] || exit 1
        dir=${words##*--dest }; dir=${dir%% *}; mkdir -p "$dir"; touch "$dir/mmcv-offered.whl" ;;
    *--no-binary*) dir=${words##*--dest }; tar -czf "${dir%% *}/mmcv.tar.gz" -C "$base" include ;;
    *' wheel '*)
        [[ ! -f $base/broken ]] || { echo 'the compiler stumbled'; exit 1; }
        dir=${words##*--wheel-dir }; dir=${dir%% *}; mkdir -p "$dir"; touch "$dir/mmcv-built.whl" ;;
    esac ;;
esac
'''


# What a pip command is about, by a word in it.
KINDS = (('--only-binary', 'look'), ('requirements/base.txt', 'torch'), ('onedl-mmdetection', 'openmmlab'),
         ('--no-binary', 'fetch'), (' wheel ', 'compile'), ('mmcv-offered.whl', 'offered'), ('mmcv-built.whl', 'built'),
         ('.[demo,test]', 'project'), ('opencv-python-headless', 'opencv'), (' check', 'check'),
         ('requirements/docs.txt -r requirements/lint.txt', 'tools'))
ALL = ['look', 'torch', 'openmmlab', 'look', 'fetch', 'compile', 'built', 'project', 'opencv', 'check', 'tools']


@pytest.fixture
def checkout(tmp_path):
    """A checkout with the set-up's files only, and the pretending Python beside it."""
    checkout = tmp_path / 'checkout'
    (checkout / 'tools').mkdir(parents=True)
    shutil.copy(ROOT / 'tools' / 'setup_env.sh', checkout / 'tools')
    shutil.copytree(ROOT / 'requirements', checkout / 'requirements')
    (checkout / 'setup.py').write_text('# one')
    (tmp_path / 'include').mkdir()
    (tmp_path / 'include' / 'Python.h').write_text('')
    python = tmp_path / 'python'
    python.write_text(FAKE_PYTHON.replace('BASE', str(tmp_path)))
    python.chmod(0o755)
    return checkout


def set_up(checkout, **environment):
    """Run the script; returns it and what the pip commands that it gave were about, in order."""
    calls = checkout.parent / 'calls'
    calls.unlink(missing_ok=True)
    done = subprocess.run([checkout / 'tools' / 'setup_env.sh'], capture_output=True, text=True, env={
        **os.environ, 'PYTHON': str(checkout.parent / 'python'), 'XDG_CACHE_HOME': str(checkout.parent / 'cache'),
        'CC': 'cat', 'CXX': 'cat', **environment})
    lines = calls.read_text().splitlines() if calls.exists() else []
    return done, [next(kind for mark, kind in KINDS if mark in line) for line in lines]


def test_a_second_run_does_nothing(checkout):
    done, calls = set_up(checkout)
    assert (done.returncode, calls) == (0, ALL)
    done, calls = set_up(checkout)
    assert (done.returncode, calls, done.stdout) == (0, [], '')


def test_a_run_that_names_no_python_stays_with_the_one_there(checkout):
    set_up(checkout)
    done, calls = set_up(checkout, PYTHON='')
    assert (done.returncode, calls) == (0, [])


def test_an_interrupted_compile_goes_on_where_it_was(checkout):
    broken = checkout.parent / 'broken'
    broken.touch()
    done, calls = set_up(checkout)
    assert calls == ALL[:6]
    assert done.returncode == 1
    assert 'the compiler stumbled' in done.stdout
    assert 'Run it again to go on from here.' in done.stdout
    source, = (checkout.parent / 'cache').glob('agssp_mm/build/*/src')
    (source / 'half_compiled.o').touch()

    done, calls = set_up(checkout)
    assert calls == ['look', 'look', 'compile']
    assert (source / 'half_compiled.o').exists()

    broken.unlink()
    done, calls = set_up(checkout)
    assert (done.returncode, calls) == (0, ['look', 'look', 'compile', 'built', 'project', 'opencv', 'check', 'tools'])
    assert not source.exists()


def test_a_second_checkout_takes_the_wheel_that_was_built(checkout):
    set_up(checkout)
    shutil.rmtree(checkout / '.venv')
    done, calls = set_up(checkout)
    assert (done.returncode, calls) == (
        0, ['look', 'torch', 'openmmlab', 'look', 'built', 'project', 'opencv', 'check', 'tools'])


def test_a_wheel_that_pip_finds_is_not_compiled(checkout):
    done, calls = set_up(checkout, CXX='no-such-compiler')
    assert (done.returncode, calls) == (1, ['look'])
    (checkout.parent / 'offered').touch()
    done, calls = set_up(checkout, CXX='no-such-compiler')
    assert (done.returncode, calls) == (
        0, ['look', 'torch', 'openmmlab', 'offered', 'project', 'opencv', 'check', 'tools'])


def test_a_change_repeats_its_step_and_those_after_it(checkout):
    set_up(checkout)
    (checkout / 'setup.py').write_text('# two')
    assert set_up(checkout)[1] == ['project', 'opencv', 'check', 'tools']
    (checkout / 'requirements' / 'lint.txt').write_text('ruff==9')
    assert set_up(checkout)[1] == ['tools']
    pins = checkout / 'requirements' / 'openmmlab.txt'
    pins.write_text(pins.read_text().replace('onedl-mmpretrain==1.3.6', 'onedl-mmpretrain==1.3.7'))
    assert set_up(checkout)[1] == ['openmmlab', 'look', 'built', 'project', 'opencv', 'check', 'tools']


@pytest.mark.parametrize('environment, message', [
    (dict(PYTHON='no-such-python'), 'needs Python 3.11 or 3.12'),
    (dict(CXX='no-such-compiler'), "no compiler: 'no-such-compiler' was not found"),
])
def test_what_is_missing_is_said_before_anything_long_starts(checkout, environment, message):
    done, calls = set_up(checkout, **environment)
    assert done.returncode == 1
    assert message in done.stderr
    assert 'torch' not in calls


def test_missing_headers_are_said_before_anything_long_starts(checkout):
    (checkout.parent / 'include' / 'Python.h').unlink()
    done, calls = set_up(checkout)
    assert 'no Python headers' in done.stderr
    assert (done.returncode, calls) == (1, ['look'])


def test_a_python_without_venv_is_said_first(checkout):
    python = checkout.parent / 'python'
    python.write_text(python.read_text().replace('in\n', 'in\n*ensurepip*) exit 1 ;;\n', 1))
    done, calls = set_up(checkout)
    assert 'no venv module' in done.stderr
    assert (done.returncode, calls) == (1, [])


@pytest.mark.slow
def test_with_a_real_python_the_missing_compiler_is_found_out_after_seconds(checkout):
    done, _ = set_up(checkout, PYTHON=sys.executable, CXX='no-such-compiler', PIP_NO_INDEX='1', PIP_FIND_LINKS='')
    assert done.returncode == 1
    assert "no compiler: 'no-such-compiler'" in done.stderr
    assert not list((checkout / '.venv').glob('lib/python*/site-packages/torch'))
