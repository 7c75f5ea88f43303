"""Which distribution an OpenMMLab package comes from, and what the extras of agssp_mm need."""
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

from packaging.requirements import Requirement as Need
from packaging.specifiers import SpecifierSet

from .._dependencies import REQUIREMENTS, Requirement, installed_version
from .finding import NOTE, OK, PROBLEM, Finding

# What goes without: the reason why a missing package is a note.
_OPTIONAL = {'mmpretrain': "backbones of MMPretrain, the demo's among them, cannot be built"}
_FOR_DEVELOPERS = ('test', 'docs', 'types', 'lint')
VersionOf = Callable[[str], str | None]


def check_openmmlab(steps: Mapping[str, Mapping[str, Any]], version_of: VersionOf = installed_version) -> list[Finding]:
    """One finding per OpenMMLab package: distribution, version, and whether the import works.

    Args:
        steps: Answers of :func:`agssp_mm.doctor.probing.run_steps`.
        version_of: Distribution name -> installed version, or None.
    """
    return [_check_package(requirement, steps.get(requirement.module, {}), version_of)
            for requirement in REQUIREMENTS if requirement.module != 'torch']


def _check_package(requirement: Requirement, step: Mapping[str, Any], version_of: VersionOf) -> Finding:
    module, first = requirement.module, requirement.distributions[0]
    found = {name: version for name in requirement.distributions if (version := version_of(name))}
    shown = ' and '.join(f'{name} {version}' for name, version in found.items())
    install = f"pip install '{first}{requirement.versions}'"
    if len(found) > 1:
        return Finding(module, PROBLEM, f'{shown} bring the same modules and overwrite each other',
                       f'pip uninstall -y {" ".join(found)} && {install}')
    for name, version in found.items():
        if not SpecifierSet(requirement.versions).contains(version, prereleases=True):
            return Finding(module, PROBLEM, f'{name} {version}, needed is {requirement.versions}',
                           f"pip install '{name}{requirement.versions}'")
    if step.get('kind') == 'ModuleNotFoundError' and not found:
        status = NOTE if module in _OPTIONAL else PROBLEM
        reason = f': {_OPTIONAL[module]}' if module in _OPTIONAL else ''
        return Finding(module, status, f'not installed{reason}', install)
    if 'error' in step:
        return Finding(module, PROBLEM, f'{shown or "found"}, but its import fails: {step["error"]}',
                       f"pip install --force-reinstall --no-deps '{next(iter(found), first)}{requirement.versions}'")
    return Finding(module, OK, f'{module} {step.get("version", "?")}, from {shown or "a source tree"}')


def check_needs(requires: list[str] | None = None, version_of: VersionOf = installed_version) -> list[Finding]:
    """The packages that agssp_mm declares: the hard ones in one finding, each extra in one.

    Args:
        requires: Requirements with markers, as distributions declare them; default: those of agssp_mm.
        version_of: Distribution name -> installed version, or None.
    """
    if requires is None:
        try:
            requires = metadata.requires('agssp_mm') or []
        except metadata.PackageNotFoundError:
            return [Finding('requirements', NOTE, 'agssp_mm runs from a source tree that is not installed: nothing '
                                                  'declares what it needs', 'pip install -e .')]
    needs = [Need(text) for text in requires]
    # torch has a finding of its own
    hard = [need for need in needs if need.name != 'torch' and (not need.marker or need.marker.evaluate({'extra': ''}))]
    findings = [_check_group('requirements', hard, PROBLEM, version_of)]
    for extra in _extras_of(needs):
        group = [need for need in needs
                 if need not in hard and need.marker and need.marker.evaluate({'extra': extra})]
        findings.append(_check_group(f'extra {extra}', group, NOTE, version_of))
    return findings


def _extras_of(needs: list[Need]) -> list[str]:
    quoted = {word.strip('"\'() ') for need in needs if need.marker and 'extra' in str(need.marker)
              for word in str(need.marker).split('==')[1:]}
    return sorted(word for word in quoted if word not in _FOR_DEVELOPERS)


def _check_group(name: str, needs: list[Need], worst: str, version_of: VersionOf) -> Finding:
    shown, wrong = [], []
    for need in needs:
        version = version_of(need.name)
        fits = version is not None and need.specifier.contains(version, prereleases=True)
        shown.append(f'{need.name} {version or "missing"}{"" if fits or not version else f" (needs {need.specifier})"}')
        if not fits:
            wrong.append(f"'{need.name}{need.specifier}'")
    status = worst if wrong else OK
    return Finding(name, status, ', '.join(shown), f'pip install {" ".join(wrong)}' if wrong else '')
