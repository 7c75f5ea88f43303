"""The `agssp` commands in README and docs are such that the real parsers know them and all of their options."""
import argparse
import re
from pathlib import Path

import pytest

from agssp_mm.cli import find_commands

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r'^```(?:bash|sh)\n(.*?)^```', re.MULTILINE | re.DOTALL)


def documented():
    for page in [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md'))]:
        for block in BLOCK.findall(page.read_text()):
            for line in block.replace('\\\n', ' ').splitlines():
                if line.startswith('agssp '):
                    yield pytest.param(line.split('  #')[0], id=f'{page.name}: {line[:50]}')


@pytest.mark.parametrize('line', list(documented()))
def test_a_documented_command_exists_with_its_options(line):
    command = line.split()[1]
    modules = find_commands()
    assert command in modules
    parser = argparse.ArgumentParser()
    modules[command].add_arguments(parser)
    known = {option for action in parser._actions for option in action.option_strings}
    assert set(re.findall(r'(?<!\S)--[a-z-]+', line)) <= known
