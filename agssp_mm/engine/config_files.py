"""Config files, with errors that say what is wrong with them."""
from pathlib import Path

from mmengine.config import Config
from mmengine.config.utils import ConfigParsingError


def parse_config(path: str | Path, what: str = 'config') -> Config:
    """Read a config file that is there.

    Args:
        path: A .py, .yml, .yaml or .json config.
        what: The setting that named it, for messages.

    Raises:
        ValueError: If MMEngine cannot read it, or it imports a module that cannot be imported here.
    """
    try:
        return Config.fromfile(path)
    except ImportError as error:
        # MMEngine's message goes on with the whole search path, line by line.
        said = str(error).split(', the current sys.path', 1)[0]
        raise ValueError(f'{what}: a module that {path} imports cannot be imported ({type(error).__name__}: {said}); '
                         'install its package, or put the folder that holds it on PYTHONPATH') from error
    except (SyntaxError, AttributeError, TypeError, NameError, ConfigParsingError) as error:
        raise ValueError(f'{what}: {path} is no config that MMEngine can read '
                         f'({type(error).__name__}: {error})') from error
