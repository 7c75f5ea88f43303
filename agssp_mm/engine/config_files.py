"""Config files, with errors that say what is wrong with them."""
from pathlib import Path

from mmengine.config import Config


def parse_config(path: str | Path, what: str = 'config') -> Config:
    """Read a config file that is there.

    Args:
        path: A .py, .yml, .yaml or .json config.
        what: The setting that named it, for messages.

    Raises:
        FileNotFoundError: If a config that it is based on does not exist.
        ValueError: If MMEngine cannot read it, or it imports a module that cannot be imported here.
    """
    try:
        return Config.fromfile(path)
    except FileNotFoundError:
        raise
    except ImportError as error:
        raise ValueError(f'{what}: a module that {path} imports cannot be imported ({_first_cause(error)}); install '
                         'its package, or put the folder that holds it on PYTHONPATH') from error
    except Exception as error:  # configs are code, which may raise anything
        raise ValueError(f'{what}: {path} is no config that MMEngine can read '
                         f'({type(error).__name__}: {error})') from error


def _first_cause(error: BaseException) -> str:
    """MMEngine's own message goes on with the whole search path, and leaves out what could not be imported."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return f'{type(error).__name__}: {error}'
