"""What a teacher has learned, taken from where it was left."""
import pickle
from pathlib import Path

import torch
from torch import Tensor

from .store import TEACHER_NAME


def load_state(path: str | Path) -> dict[str, Tensor]:
    """Read the fitted state of a teacher.

    Args:
        path: A map store, or a file with a teacher's ``state_dict``.

    Raises:
        FileNotFoundError: If there is no such store or file.
        ValueError: If the file is anything but tensors under names.
    """
    file = Path(path) / TEACHER_NAME if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise FileNotFoundError(f'no fitted state at {file}; give a map store, or a file written with '
                                'torch.save(teacher.state_dict(), file)')
    try:
        state = torch.load(file, map_location='cpu', weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise ValueError(f'{file} cannot be read safely as the state of a teacher ({type(error).__name__})') from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f'{file} is not the state of a teacher: tensors under names are expected')
    return state
