"""Checks that the installed frameworks fit, before anything imports them.

The OpenMMLab packages come under two sets of distribution names, the original ones and the maintained builds
(``onedl-...``). Both bring the same modules, so installers cannot express "either of them"; this check can.
"""
from collections.abc import Callable, Sequence
from importlib import import_module, metadata, util
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from packaging.specifiers import SpecifierSet


class Requirement(NamedTuple):
    """One framework that agssp_mm stands on.

    Attributes:
        module: Name under which it is imported.
        distributions: Names under which it may be installed; the first is the one we recommend.
        versions: Allowed versions.
        needed_at_import: Whether ``import agssp_mm`` needs it; the others may be missing.
    """

    module: str
    distributions: tuple[str, ...]
    versions: str
    needed_at_import: bool = True


REQUIREMENTS = (
    Requirement('torch', ('torch', ), '>=2.5'),
    Requirement('mmengine', ('onedl-mmengine', 'mmengine'), '>=0.10,<1'),
    Requirement('mmcv', ('onedl-mmcv', 'mmcv', 'mmcv-lite'), '>=2.0,<3'),
    Requirement('mmdet', ('onedl-mmdetection', 'mmdet'), '>=3.0,<4', needed_at_import=False),
    Requirement('mmpretrain', ('onedl-mmpretrain', 'mmpretrain'), '>=1.0,<2', needed_at_import=False),
)


class MissingPackageError(ImportError):
    """A package is missing that only some parts of agssp_mm need; its message says which and how to get it."""


def import_optional(module: str, user: str, install: str) -> ModuleType:
    """Import what only one part needs, at the moment when that part is used.

    Args:
        module: Name of the module.
        user: The part that needs it, for the message.
        install: What ``pip install`` takes to bring it.

    Raises:
        MissingPackageError: If it is not installed. One that is there and fails keeps its own error.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.split('.')[0]:
            raise
        raise MissingPackageError(
            f"{user} needs {error.name}, which is not installed: pip install '{install}'") from error


def asked_for_doctor(words: Sequence[str]) -> bool:
    """Whether this process is ``agssp doctor``, which has to run where the dependencies do not fit.

    Args:
        words: Its command line, the program first.
    """
    return Path(words[0] if words else '').stem == 'agssp' and list(words[1:2]) == ['doctor']


def installed_version(distribution: str) -> str | None:
    """Version of an installed distribution, or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def check_dependencies(version_of: Callable[[str], str | None] = installed_version) -> None:
    """Check every framework without importing any.

    Args:
        version_of: Distribution name -> installed version, or None where it is not installed.

    Raises:
        ImportError: If one that is needed at import is missing, or one that is there has a version out of range.
    """
    for requirement in REQUIREMENTS:
        _check(requirement, version_of)


def _check(requirement: Requirement, version_of: Callable[[str], str | None]) -> None:
    found = {name: version for name in requirement.distributions if (version := version_of(name))}
    for name, version in found.items():
        # Pre-releases count: whoever installed one meant it.
        if not SpecifierSet(requirement.versions).contains(version, prereleases=True):
            # pip would not tell that MMCV no longer fits
            then = ' and compile MMCV against it (`agssp doctor` has the command)' if name == 'torch' else ''
            raise ImportError(f'agssp_mm needs {requirement.module} {requirement.versions}, found {name} {version}. '
                              f"Mend it with: pip install '{name}{requirement.versions}'{then}")
    # A source tree on PYTHONPATH has no distribution; it counts as there, and its version is its owner's business.
    if not found and requirement.needed_at_import and util.find_spec(requirement.module) is None:
        raise ImportError(f'agssp_mm needs {requirement.module} {requirement.versions}, found none of: '
                          f'{", ".join(requirement.distributions)}. '
                          f"Mend it with: pip install '{requirement.distributions[0]}{requirement.versions}'")
