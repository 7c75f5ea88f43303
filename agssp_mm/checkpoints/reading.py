"""Reading checkpoints without running what may be hidden in them."""
import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
from mmengine.dist import barrier, is_main_process
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler import OneCycleParamScheduler
from mmengine.runner import checkpoint as mmengine_checkpoint

_SCHEMES = ('http://', 'https://', 'torchvision://', 'open-mmlab://', 'openmmlab://', 'mmcls://')


def read_checkpoint(source: str | Path, trust: bool = False) -> dict[str, Any]:
    """Read a checkpoint onto the CPU, with `weights_only=True` inside MMEngine's safe globals.

    Args:
        source: A file (of torch.save, or .safetensors; with `trust` also Detectron2's .pkl), or a URL of the kinds
            MMEngine knows (http, https, torchvision, open-mmlab, mmcls); these are kept in torch's own download
            folder.
        trust: Unpickle what a plain read refuses. That can run code of whoever made the file.

    Raises:
        FileNotFoundError: If there is no such file, or the URL cannot be reached.
        ValueError: If it is no checkpoint, or needs unpickling and `trust` is not set.
    """
    path = _fetch(str(source)) if str(source).startswith(_SCHEMES) else Path(source).expanduser()
    if not path.is_file():
        what = 'is a folder' if path.is_dir() else 'does not exist'
        raise FileNotFoundError(f'checkpoint {source} {what}; give a .pth file or a URL')
    if path.suffix == '.safetensors':
        return _load_safetensors(path)
    with path.open('rb') as file:
        start = file.read(2)
    if start != b'PK' and start[:1] != b'\x80':
        raise ValueError(f'{source} is no checkpoint: it is {"empty" if not start else "no archive of torch.save"}')
    content = _load(path, source, trust)
    if not isinstance(content, dict):
        raise ValueError(f'{source} is no checkpoint: it holds a {type(content).__name__}, not a dict of tensors')
    return content


def weights_of(checkpoint: Mapping[str, Any], prefix: str = '') -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint by name, the way MMEngine finds them.

    Args:
        checkpoint: Its content, with the tensors (or arrays of numpy) under `state_dict` or at the top.
        prefix: Only names that start like this, without it.

    Returns:
        Tensors by name, a leading `module.` taken off; empty if there is none.
    """
    state = checkpoint.get('state_dict', checkpoint)
    if not isinstance(state, Mapping):
        return {}
    tensors = {name.removeprefix('module.'): torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value
               for name, value in state.items() if isinstance(value, (torch.Tensor, np.ndarray))}
    return {name[len(prefix):]: value for name, value in tensors.items() if name.startswith(prefix)}


def sha256(path: str | Path) -> str | None:
    """Return the SHA-256 of a file as hex digits; None if there is no such file.

    Args:
        path: A file, or a URL that was downloaded by `read_checkpoint`.
    """
    path = _downloaded(_resolve(str(path))) if str(path).startswith(_SCHEMES) else Path(path).expanduser()
    if not path.is_file():
        return None
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def _load(path: Path, source: str | Path, trust: bool) -> Any:
    try:
        # Its state names a function of the class itself.
        with torch.serialization.safe_globals([*_runner_globals(), OneCycleParamScheduler]):
            content = torch.load(path, map_location='cpu', weights_only=True)
        if not hasattr(mmengine_checkpoint, 'get_torch_safe_globals'):
            torch.serialization.add_safe_globals(_runner_globals())  # for MMEngine's own loader, which comes next
        return content
    except pickle.UnpicklingError as error:
        if not trust:
            raise ValueError(f'{source} holds more than tensors and plain metadata ({_reason(error)}). Reading it '
                             'can run code of whoever made it; if you trust the file, allow it with '
                             'trust_checkpoint=True of LoadReportHook or --trust-checkpoint') from error
    except (RuntimeError, EOFError, OSError) as error:
        raise ValueError(f'{source} is no readable checkpoint, or is cut off ({_reason(error)})') from error
    if path.suffix in ('.pkl', '.pickle'):
        with path.open('rb') as file:
            return pickle.load(file, encoding='latin1')
    return torch.load(path, map_location='cpu', weights_only=False)


def _runner_globals() -> list[Any]:
    """What checkpoints of MMEngine's runner hold beside tensors, as the maintained MMEngine lists it.

    The original one, up to 0.10.7, has no list, and torch from 2.6 on refuses it its own checkpoints.
    """
    if hasattr(mmengine_checkpoint, 'get_torch_safe_globals'):
        return mmengine_checkpoint.get_torch_safe_globals()
    core = np._core if hasattr(np, '_core') else np.core
    return [slice, getattr, core.multiarray._reconstruct, core.multiarray.scalar, np.ndarray, np.dtype,
            *(type(np.dtype(kind)) for kind in ('u4', 'i8', 'f8')), HistoryBuffer]


def _load_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise ValueError(f'{path} is read with safetensors, which is not installed: pip install safetensors') from error
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f'{path} is no readable checkpoint, or is cut off ({_reason(error)})') from error


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = next((line for line in lines if 'WeightsUnpickler error' in line or 'Unsupported' in line), None)
    return (named or (lines[0] if lines else type(error).__name__))[:200]


def _fetch(url: str) -> Path:
    """Download what a URL names, unless it is there already, on the main process first; return the file."""
    url = _resolve(url)
    path = _downloaded(url)
    if is_main_process():
        problem = _download(url, path)
    barrier()
    if not is_main_process():  # of another machine, whose disk has it not
        problem = _download(url, path)
    if not path.is_file():
        raise FileNotFoundError(f'cannot download {url} ({problem}); without a network '
                                f'put the file at {path}, give a local file, or set init_cfg=None') from problem
    return path


def _download(url: str, path: Path) -> Exception | None:
    if path.is_file():
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, str(path), progress=False)
    except (URLError, OSError) as error:
        return error
    return None


def _downloaded(url: str) -> Path:
    return Path(torch.hub.get_dir()) / 'checkpoints' / url.split('?')[0].rsplit('/', 1)[-1]


def _resolve(url: str) -> str:
    scheme, name = url.split('://', 1)
    if scheme in ('http', 'https'):
        return url
    tables = {'torchvision': mmengine_checkpoint.get_torchvision_models, 'mmcls': mmengine_checkpoint.get_mmcls_models}
    table = tables.get(scheme, mmengine_checkpoint.get_external_models)()
    if name not in table:
        raise FileNotFoundError(f'MMEngine knows no checkpoint {url}')
    return table[name]
