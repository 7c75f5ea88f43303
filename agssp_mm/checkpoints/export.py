"""Writing checkpoints of plain tensors and plain metadata."""
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mmengine
import torch
from torch import Tensor

from agssp_mm.files import write_atomically
from agssp_mm.version import __version__


def save_checkpoint(path: str | Path, state_dict: Mapping[str, Tensor], meta: Mapping[str, Any] | None = None,
                    weights_key: str = 'state_dict', **more: bool | str) -> None:
    """Write a checkpoint that `torch.load(path, weights_only=True)`, `load_from` and `init_cfg` read.

    Atomic: a killed run leaves the old file or none. Same tensors and metadata give the same bytes.

    Args:
        path: File to write; its folder is made.
        state_dict: Tensors by name, on any device; written to the CPU, contiguous.
        meta: What made them; see `plain` for what may be in there. The versions of agssp_mm, torch and mmengine
            are added.
        weights_key: Where in the file the tensors stand; MMEngine looks under `state_dict`.
        **more: Further entries beside the tensors, for readers that look for some.

    Raises:
        ValueError: If there is no tensor, a value is no tensor, or the metadata hold anything else.
    """
    if not state_dict:
        raise ValueError(f'no tensors to write to {path}')
    for name, tensor in state_dict.items():
        if not isinstance(tensor, Tensor):
            raise ValueError(f'{name} is a {type(tensor).__name__}; a checkpoint holds tensors only')
    versions = {'agssp_mm_version': __version__, 'torch_version': str(torch.__version__),
                'mmengine_version': mmengine.__version__}
    content = {
        'meta': {**plain(meta or {}), **versions},
        # Cloned: a view would drag the whole storage it looks into along.
        **more,
        weights_key: {name: tensor.detach().to('cpu').clone(memory_format=torch.contiguous_format)
                      for name, tensor in state_dict.items()},
    }
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A file object, not a path: torch.save writes the name of a path into the archive.
    with write_atomically(path) as file:
        torch.save(content, file)


def plain(value: Any) -> Any:
    """Return a copy of nested metadata that consists of plain types only.

    Args:
        value: str, numbers, bool, None, arrays, and lists, tuples and dicts (with string keys) of these.

    Returns:
        The same as str, int, float, bool, None, list and dict.

    Raises:
        ValueError: If it holds anything else.
    """
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ValueError(f'metadata need string keys, got {list(value)[:3]}')
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    # Exact types: a subclass would be pickled by reference to its class.
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if value is None:
        return None
    if hasattr(value, 'tolist'):
        return plain(value.tolist())
    raise ValueError(f'metadata must be plain (str, numbers, bool, None, lists, dicts), got a {type(value).__name__}')
