"""The commands in README and docs, in blocks and in running text: the real parsers take them, their configs and make
targets exist. `test_documented_runs.py` runs the blocks too.
"""
import argparse
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

from agssp_mm.cli import find_commands

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / 'tests'))
from documented_blocks import page_names, read_blocks  # noqa: E402

SCRIPT = re.compile(r'(?:\.venv/bin/)?(?:python )?(tools/\S+\.py)(?: |$)')
PLAIN = re.compile(r'export \w+=|\w+=\S+$|pip install -e \.')
SHELL = re.compile(r'(?:\w+=\S+ )*(tools/\S+\.sh)(?: |$)')
#: Code in running text that is a command: `make docs`, `agssp report`, `tools/train.py`, `python tools/demo.py ...`.
INLINE = re.compile(r'`((?:\.venv/bin/)?(?:python )?tools/[\w/]+\.(?:py|sh)|make [\w-]+|agssp [\w-]+)[^`]*`')


class Parsed(BaseException):
    """Ends a script once its arguments are parsed."""


def documented():
    for page in page_names():
        for block in read_blocks(page):
            values = dict(re.findall(r'^(?:export )?(\w+)=(\S+)', block.text, re.MULTILINE))
            for line in block.text.replace('\\\n', ' ').splitlines() if block.language == 'bash' else ():
                line = re.sub(r'\$\{?(\w+)\}?', lambda found, values=values: values.get(found[1], found[0]), line)
                line = shlex.join(shlex.split(line, comments=True))
                if line and block.reason is None:
                    yield pytest.param(line, id=f'{page}: {line[:60]}')


def check(line: str, monkeypatch) -> None:
    words = shlex.split(line)
    if line.startswith('agssp '):
        modules = find_commands()
        assert words[1] in modules, f'no command {words[1]}'
        parser = argparse.ArgumentParser()
        modules[words[1]].add_arguments(parser)
        parser.parse_args(words[2:])
    elif script := SCRIPT.match(line):
        parse_in_script(ROOT / script[1], shlex.split(line[script.end():]), monkeypatch)
    elif shell := SHELL.match(line):
        assert (ROOT / shell[1]).is_file(), f'there is no {shell[1]}'
    elif words[0] == 'make':
        assert re.search(rf'^{words[1]}:', (ROOT / 'Makefile').read_text(), re.MULTILINE), f'no target {words[1]}'
    else:
        assert PLAIN.match(' '.join(words)), 'neither known nor excused by <!-- not run: reason --> before the block'
    missing = [word for word in words if word.startswith('configs/') and '$' not in word and not (ROOT / word).exists()]
    assert not missing


def parse_in_script(script: Path, arguments: list[str], monkeypatch) -> None:
    """Run a script up to where its own parser has taken the arguments."""
    real = argparse.ArgumentParser.parse_args

    def parse_and_stop(self, args=None, namespace=None):
        real(self, args, namespace)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', parse_and_stop)
    monkeypatch.setattr(sys, 'argv', [str(script), *arguments])
    monkeypatch.setattr(sys, 'path', [str(script.parent), *sys.path])
    monkeypatch.chdir(ROOT)
    with pytest.raises(Parsed):
        runpy.run_path(str(script), run_name='__main__')


@pytest.mark.parametrize('line', list(documented()))
def test_a_documented_command_is_one(line, monkeypatch):
    check(line, monkeypatch)


def test_commands_in_running_text_exist():
    said = {command for page in page_names() for command in INLINE.findall((ROOT / page).read_text())}
    assert len(said) > 20
    modules, targets = find_commands(), (ROOT / 'Makefile').read_text()
    gone = [command for command in said if not (
        command.split()[1] in modules if command.startswith('agssp ')
        else re.search(rf'^{command.split()[1]}:', targets, re.MULTILINE) if command.startswith('make ')
        else (ROOT / command.split()[-1]).is_file())]
    assert gone == []


@pytest.mark.parametrize('line', [
    'agssp pretend', 'agssp report STORE --ou PAGE --colour', 'make nothing', 'tools/train.py CONFIG --no-such-option',
    'python tools/train.py configs/no_such.py', 'rm -r work_dirs'])
def test_a_wrong_command_is_noticed(line, monkeypatch):
    with pytest.raises((AssertionError, SystemExit)):
        check(line, monkeypatch)
