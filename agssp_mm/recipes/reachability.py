"""Initial weights that a config names, and those that cannot be had, as on a machine without a network."""
import urllib.error
import urllib.request
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from mmengine.runner import checkpoint as mmengine_checkpoint

from ..engine.walk import walk
from ..engine.weight_sources import last_name

_TIMEOUT = 5.0  # seconds
# MMEngine's initialisations that draw numbers; any other loads weights.
_DRAWN = ('Constant', 'Xavier', 'Normal', 'TruncNormal', 'Uniform', 'Kaiming', 'Caffe2Xavier')


def drop_unreachable(model: dict, downloads: bool | None = None) -> list[str]:
    """Set every initialisation from a checkpoint that cannot be reached to None.

    Args:
        model: Config of a detector, changed in place.
        downloads: Whether files may be fetched from the network; None tries.

    Returns:
        The checkpoints that were left out.
    """
    left_out = []
    for part in list(walk(model)):
        for key, value in list(part.items()):
            source = _source(key, value)
            if source is not None and not is_reachable(source, downloads):
                part[key] = False if value is True else None
                left_out.append(source)
            elif isinstance(value, (list, tuple)) and key == 'init_cfg':
                kept = [one for one in value if is_reachable(_source(key, one) or '', downloads)]
                left_out += [str(_source(key, one)) for one in value if one not in kept]
                part[key] = kept or None
    return left_out


def missing_files(model: Any) -> list[str]:
    """Paths, not URLs, of checkpoints that a model's config starts from and that do not exist."""
    named = [_source(key, one) for part in walk(model) for key, value in part.items()
             for one in (value if isinstance(value, (list, tuple)) else [value])]
    return [source for source in named if source and '://' not in source and not is_reachable(source)]


def loads_weights(model: Any) -> bool:
    """Whether a model's config starts from weights in any of its parts, in place of random numbers."""
    return any(bool(part.get('pretrained')) or any(_loads(one) for one in _as_list(part.get('init_cfg')))
               for part in walk(model))


def drop_weights(model: dict) -> None:
    """Leave random numbers alone as initial values, in every part of a detector.

    Args:
        model: Its config, changed in place.
    """
    for part in list(walk(model)):
        if part.get('init_cfg'):
            part['init_cfg'] = [one for one in _as_list(part['init_cfg']) if not _loads(one)] or None


def is_reachable(source: str, downloads: bool | None = None) -> bool:
    """Whether a checkpoint is a file, lies in torch's download folder, or can be fetched.

    Args:
        source: A path, or a URL of the kinds MMEngine knows; an empty one counts as reached.
        downloads: Whether files may be fetched; None tries.
    """
    if not source or Path(source).expanduser().is_file():
        return True
    if '://' not in source:
        return False
    url = _resolve(source)
    if url is None:
        return False
    cached = Path(torch.hub.get_dir()) / 'checkpoints' / urlsplit(url).path.rsplit('/', 1)[-1]
    if cached.is_file():
        return True
    return bool(downloads) if downloads is not None else _host_answers(urlsplit(url).scheme, urlsplit(url).netloc)


def _source(key: str, value: object) -> str | None:
    """The checkpoint that a setting names; None if it names none."""
    # Backbones that load by code of their own, such as PVT, read the checkpoint without a type beside it.
    if key == 'init_cfg' and isinstance(value, dict) and 'Pretrained' in last_name(value.get('type', 'Pretrained')):
        return str(value['checkpoint']) if value.get('checkpoint') else None
    if key.endswith('_ckpt') or key == 'pretrained':
        if isinstance(value, str):
            return value
        # timm's own way to fetch weights, from the hub that holds them.
        return 'https://huggingface.co/timm' if value is True else None
    return None


def _loads(init_cfg: dict) -> bool:
    return 'checkpoint' in init_cfg or last_name(init_cfg.get('type')) not in _DRAWN


def _as_list(init_cfg: Any) -> list[dict]:
    return list(init_cfg) if isinstance(init_cfg, (list, tuple)) else [init_cfg] if init_cfg else []


def _resolve(source: str) -> str | None:
    scheme, name = source.split('://', 1)
    if scheme in ('http', 'https'):
        return source
    tables = {'torchvision': 'get_torchvision_models', 'mmcls': 'get_mmcls_models'}
    table = getattr(mmengine_checkpoint, tables.get(scheme, 'get_external_models'))
    return table().get(name)


@lru_cache
def _host_answers(scheme: str, host: str) -> bool:
    try:
        request = urllib.request.Request(f'{scheme}://{host}/', method='HEAD')
        with urllib.request.urlopen(request, timeout=_TIMEOUT):
            return True
    except urllib.error.HTTPError:
        return True  # it is there, and only has no such page
    except (OSError, ValueError):
        return False
