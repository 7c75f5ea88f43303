"""What `make lint` and `make types` look at, where their tools are installed."""
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def check(*words: str) -> None:
    if find_spec(words[0]) is None:
        pytest.skip(f'{words[0]} is not installed: pip install -r requirements/lint.txt')
    done = subprocess.run([sys.executable, '-m', *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_code_has_one_style():
    check('ruff', 'check', '.')


def test_words_are_spelt():
    check('codespell_lib', '--toml', '/dev/null')


@pytest.mark.slow
def test_type_hints_agree():
    check('mypy')
