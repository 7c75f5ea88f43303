"""Short names of the registered teachers, as commands and ensembles use them."""
import re
from collections.abc import Mapping
from typing import Any

from mmengine.registry import TASK_UTILS

from .base import Teacher


def kebab(name: str) -> str:
    """``VvAttention`` -> ``vv-attention``: how a class is called on the command line."""
    return re.sub(r'(?<=[a-z0-9])(?=[A-Z][a-z])', '-', name).lower()


def teacher_names() -> dict[str, str]:
    """Short name -> registered class name, for every registered teacher."""
    classes = {name: cls for name, cls in TASK_UTILS.module_dict.items()
               if isinstance(cls, type) and issubclass(cls, Teacher)}
    return {kebab(name.removesuffix('Teacher')): name for name in sorted(classes)}


def teacher_of(given: 'Teacher | str | Mapping[str, Any]') -> Teacher:
    """A teacher, its config, or its short or registered name.

    Raises:
        ValueError: If there is no such teacher, or it refuses its settings.
    """
    if isinstance(given, Teacher):
        return given
    config = dict(type=given) if isinstance(given, str) else dict(given)
    names = teacher_names()
    wanted = str(config.get('type'))
    kind = names.get(wanted, wanted)
    if kind not in names.values():
        raise ValueError(f'unknown teacher {config.get("type")!r}; there are: {", ".join(names)}')
    try:
        return TASK_UTILS.build(dict(config, type=kind))
    except TypeError as error:
        raise ValueError(f'teacher {config["type"]!r} refuses its settings: {error}') from error
