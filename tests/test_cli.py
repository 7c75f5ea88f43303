import argparse
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from agssp_mm import __version__, cli


def command(error=None, status=0):
    """A command that echoes its argument, or fails."""
    def run(args: argparse.Namespace) -> int:
        if error is not None:
            raise error
        print(f'ran with {args.word}')
        return status

    return SimpleNamespace(SUMMARY='echo a word', add_arguments=lambda parser: parser.add_argument('word'), run=run)


@pytest.fixture
def only(monkeypatch):
    return lambda **modules: monkeypatch.setattr(
        cli, 'find_commands', lambda: {name.replace('_', '-'): module for name, module in modules.items()})


def test_every_described_module_in_the_package_is_a_command():
    found = cli.find_commands()
    described = {path.stem for path in Path(cli.commands.__path__[0]).glob('*.py')
                 if "\nSUMMARY = '" in path.read_text()}
    assert {name.replace('-', '_') for name in found} == described
    assert 'generate-maps' in found
    for module in found.values():
        assert '\n' not in module.SUMMARY
        module.add_arguments(argparse.ArgumentParser())


def test_without_arguments_it_lists_the_commands(capsys):
    assert cli.main([]) == 0
    assert 'generate-maps  ' in capsys.readouterr().out


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(['--version'])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f'agssp_mm {__version__}\n'


def test_an_unknown_command_names_the_known_ones(capsys, only):
    only(echo=command())
    with pytest.raises(SystemExit) as stop:
        cli.main(['ecko'])
    assert stop.value.code == 2
    assert "invalid choice: 'ecko' (choose from" in capsys.readouterr().err


@pytest.mark.parametrize('name', ['say-it', 'say_it'])
def test_a_command_gets_its_arguments_and_gives_the_exit_status(name, capsys, only):
    only(say_it=command(status=3))
    assert cli.main([name, 'hello']) == 3
    assert capsys.readouterr().out == 'ran with hello\n'


def test_help_after_the_command_is_the_commands(capsys, only):
    only(echo=command())
    with pytest.raises(SystemExit):
        cli.main(['echo', '--help'])
    out = capsys.readouterr().out
    assert out.startswith('usage: agssp echo')
    assert 'Echo a word.' in out


@pytest.mark.parametrize('error, line', [
    (ValueError('three is too many; give two'), 'three is too many; give two'),
    (FileNotFoundError('images: no such folder'), 'images: no such folder'),
    (OSError(28, 'No space left on device'), '[Errno 28] No space left on device'),
    (KeyError('no teacher "x"; there are: texture'), 'no teacher "x"; there are: texture'),
])
def test_a_users_error_is_one_line_and_status_2(error, line, capsys, only):
    only(echo=command(error))
    assert cli.main(['echo', 'x']) == 2
    assert capsys.readouterr().err == f'agssp echo: error: {line}\n'


def test_debug_shows_the_traceback_too(capsys, only):
    only(echo=command(ValueError('bad')))
    assert cli.main(['echo', 'x', '--debug']) == 2
    err = capsys.readouterr().err
    assert err.startswith('Traceback')
    assert err.endswith('agssp echo: error: bad\n')


def test_a_bug_is_not_dressed_up_as_a_users_error(only):
    only(echo=command(TypeError('bug')))
    with pytest.raises(TypeError, match='bug'):
        cli.main(['echo', 'x'])


def test_the_interrupt_key_gives_no_traceback(capsys, only):
    only(echo=command(KeyboardInterrupt()))
    assert cli.main(['echo', 'x']) == 130
    assert capsys.readouterr().err == 'agssp echo: interrupted\n'


def test_the_installed_command_runs():
    code = 'import sys; from agssp_mm.cli import main; sys.exit(main())'
    answer = subprocess.run([sys.executable, '-c', code, 'generate-maps', 'no-such-folder', 'store'],
                            capture_output=True, text=True)
    assert answer.returncode == 2
    assert answer.stderr.splitlines()[-1].startswith('agssp generate-maps: error: ')
