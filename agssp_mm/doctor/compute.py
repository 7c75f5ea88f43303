"""Python, torch, torchvision, OpenCV, the compiled operators and the GPU."""
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from .._dependencies import REQUIREMENTS, installed_version
from .distributions import VersionOf
from .finding import NOTE, OK, PROBLEM, Finding

_TORCH_INDEX = 'https://download.pytorch.org/whl'
_NVIDIA_DRIVER = Path('/proc/driver/nvidia/version')
Steps = Mapping[str, Mapping[str, Any]]


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Python is one that agssp_mm runs on."""
    text = f'{".".join(map(str, version))}, {sys.executable}'
    if version < (3, 11):
        return Finding('python', PROBLEM, f'{text}; needed is 3.11 or later', 'python3.11 -m venv .venv')
    return Finding('python', OK, text)


def check_torch(steps: Steps) -> list[Finding]:
    """torch and torchvision can be imported and work together."""
    step, allowed = steps['torch'], next(need.versions for need in REQUIREMENTS if need.module == 'torch')
    if 'error' in step:
        return [Finding('torch', PROBLEM, step['error'], _mend_torch(step['error'], allowed))]
    built_for = f'CUDA {step["cuda"]}' if step['cuda'] else 'the CPU'
    torch = Finding('torch', OK, f'{step["version"]}, built for {built_for}')
    if not SpecifierSet(allowed).contains(Version(step['version']).base_version, prereleases=True):
        torch = Finding('torch', PROBLEM, f'{step["version"]}, needed is {allowed}', f"pip install 'torch{allowed}'")
    vision = steps['torchvision']
    if 'error' in vision:
        mend = f"pip install --force-reinstall 'torch=={step['version'].split('+')[0]}' torchvision"
        return [torch, Finding('torchvision', PROBLEM, vision['error'], mend)]
    return [torch, Finding('torchvision', OK, f'{vision["version"]}, its operators work')]


def _mend_torch(error: str, allowed: str) -> str:
    if 'Numpy is not available' in error:
        return "pip install 'numpy<2'"
    return f"pip install --force-reinstall 'torch{allowed}' torchvision"


def check_opencv(steps: Steps) -> Finding:
    """OpenCV can be imported: the plain build needs a graphics library that servers lack."""
    step = steps['cv2']
    if 'error' in step:
        return Finding('opencv', PROBLEM, step['error'],
                       'pip install --force-reinstall --no-deps opencv-python-headless')
    return Finding('opencv', OK, step['version'])


def check_ops(steps: Steps, version_of: VersionOf = installed_version) -> Finding:
    """The compiled operators of MMCV are there and one of them answers rightly.

    Args:
        steps: Answers of :func:`agssp_mm.doctor.probing.run_steps`.
        version_of: Distribution name -> installed version, or None.
    """
    step, name = steps['ops'], 'compiled operators of mmcv'
    if 'error' in step:
        what, mend = step['error'], _compile_mmcv(version_of)
        if step['kind'] == 'ModuleNotFoundError' and '_ext' in what:
            what += ' (teachers, maps and pseudo boxes work without; most detectors of MMDetection do not)'
        if 'not found' in what and 'cuda' in what:
            what += ' (mmcv was compiled without CUDA)'
            mend += f'  # {_what_cuda_needs(steps["torch"].get("cuda"))}'
        return Finding(name, PROBLEM, what, mend)
    return Finding(name, OK,
                   f'nms answers rightly on {" and ".join(step["devices"])}; compiled for CUDA: {step["cuda"]}')


def _compile_mmcv(version_of: VersionOf) -> str:
    """The command that builds MMCV, of the family that is there, against the torch that is there."""
    lite = version_of('mmcv-lite')
    is_upstream = not version_of('onedl-mmcv') and (lite or version_of('mmcv'))
    # mmdet refuses mmcv from 2.2 on
    name, what = ('mmcv', "'mmcv>=2.0,<2.2'") if is_upstream else ('onedl-mmcv', 'onedl-mmcv')
    # both bring the same modules; pip keeps the wheels that it built, also those without CUDA
    return (f'{"pip uninstall -y mmcv-lite && " if lite else ""}pip install --force-reinstall --no-cache-dir --no-deps '
            f'--no-build-isolation --no-binary {name} {what}')


def _what_cuda_needs(cuda: str | None) -> str:
    major = f' ({cuda.split(".")[0]})' if cuda else ''
    return (f'needs nvcc of the major version of CUDA that torch was built for{major}; without it, '
            'CUDA_VISIBLE_DEVICES= in front of a command trains on the CPU')


def check_cuda(steps: Steps, driver: Path = _NVIDIA_DRIVER) -> Finding:
    """A GPU that is there is seen, and torch has kernels for it."""
    step, name = steps['torch'], 'cuda'
    if 'error' in step:
        text = 'not looked at: torch does not work'
        # torch tries every GPU: an error of CUDA is one of its own
        if 'CUDA' in step['error']:
            return Finding(name, PROBLEM, step['error'], f'pip install --force-reinstall torch torchvision --index-url '
                                                         f'{_TORCH_INDEX}/cu126')
        return Finding(name, NOTE, text)
    if step['available']:
        broken = [gpu['name'] for gpu in step['gpus'] if not gpu['works']]
        if broken:
            return Finding(name, PROBLEM, f'{", ".join(broken)} computes wrongly', 'nvidia-smi -q')
        gpus = ', '.join(gpu['name'] for gpu in step['gpus'])
        return Finding(name, OK, f'{len(step["gpus"])} GPU(s): {gpus}; torch was built for CUDA {step["cuda"]}')
    if not driver.exists():
        return Finding(name, OK, 'no NVIDIA driver on this machine: everything runs on the CPU')
    if not step['cuda']:
        return Finding(name, PROBLEM, 'there is an NVIDIA driver, but torch was built for the CPU',
                       f'pip install --force-reinstall torch torchvision --index-url {_TORCH_INDEX}/cu126')
    return Finding(name, PROBLEM, f'there is an NVIDIA driver, but torch (CUDA {step["cuda"]}) sees no GPU. '
                                  f'{step["warning"]}'.strip(),
                   'nvidia-smi  # shows the CUDA version that the driver supports; torch must not need a newer one, '
                   'and CUDA_VISIBLE_DEVICES must not be empty')
