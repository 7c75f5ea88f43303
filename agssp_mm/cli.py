"""The ``agssp`` command: every module of :mod:`agssp_mm.commands` that describes itself is a sub-command.

Such a module offers ``SUMMARY`` (one line), ``add_arguments(parser)`` and ``run(args) -> int`` (the exit status).
The sub-command is named after the module, with dashes for underscores. Scripts in ``tools/`` run the same modules.
"""
import argparse
import io
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from agssp_mm import __version__, commands
from agssp_mm._dependencies import MissingPackageError

# What bad input raises, by the house rules, and a disk that refuses; anything else is a bug and shows its traceback.
USER_ERRORS = (ValueError, OSError, KeyError, MissingPackageError)


def find_commands() -> dict[str, ModuleType]:
    """Sub-command name -> module, sorted by name."""
    modules = {info.name: import_module(f'{commands.__name__}.{info.name}') for info in iter_modules(commands.__path__)}
    return {_command_name(name): module for name, module in sorted(modules.items())
            if getattr(module, 'SUMMARY', None)}


def _command_name(module_name: str) -> str:
    return module_name.replace('_', '-')


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``agssp``.

    Args:
        arguments: Words of the command line after the program's name; default: those of this process.

    Returns:
        Exit status: what the sub-command returns, 2 after a user's error.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ['doctor']:  # the other commands may fail to import where it is needed
        return run_command(import_module(f'{commands.__name__}.doctor'), 'agssp doctor', arguments[1:])
    modules = find_commands()
    width = max(map(len, modules), default=0)
    parser = argparse.ArgumentParser(
        prog='agssp', description='Anomaly-guided pretraining for MMDetection.',
        epilog='\n'.join(['commands:', *(f'  {name:{width}}  {module.SUMMARY}' for name, module in modules.items()),
                          '', 'agssp COMMAND --help tells more.']),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--version', action='version', version=f'agssp_mm {__version__}')
    parser.add_argument('command', nargs='?', metavar='COMMAND', type=_command_name, choices=list(modules),
                        help='one of those below')
    parser.add_argument('arguments', nargs=argparse.REMAINDER, metavar='...', help='what the command takes')
    parsed = parser.parse_args(arguments)
    if parsed.command is None:
        parser.print_help()
        return 0
    return run_command(modules[parsed.command], f'agssp {parsed.command}', parsed.arguments)


def run_command(module: ModuleType, prog: str, arguments: Sequence[str] | None = None) -> int:
    """Parse one command's arguments and run it; a user's error becomes one line and exit status 2.

    Args:
        module: Offers ``SUMMARY``, ``add_arguments`` and ``run``.
        prog: How the command is called, for messages.
        arguments: Words after the command's name; default: those of this process.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors='backslashreplace')  # names of files need not be UTF-8
    parser = argparse.ArgumentParser(prog=prog, description=f'{module.SUMMARY[0].upper()}{module.SUMMARY[1:]}.')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    module.add_arguments(parser)
    try:
        return module.run(parser.parse_args(arguments))
    except USER_ERRORS as error:
        if '--debug' in arguments:
            traceback.print_exc()
        # str() of a KeyError puts its message in quotes.
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f'{prog}: error: {message}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f'{prog}: interrupted', file=sys.stderr)
        return 130
