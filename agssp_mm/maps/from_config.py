"""Making anomaly maps as a config file says."""
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import TASK_UTILS

from ..images import list_images
from ..teachers.base import Teacher
from ..teachers.placing import choose_device
from .boxes import BoxRule
from .generate import GenerationSummary, generate_maps


def build_teacher(config: Mapping[str, Any]) -> Teacher:
    """Build a teacher from its config.

    Args:
        config: ``dict(type=..., **settings)``.

    Raises:
        ValueError: If there is no such type, it is no teacher, or it refuses its settings.
    """
    return _build(config, Teacher, 'teacher')


def build_rule(config: Mapping[str, Any]) -> BoxRule:
    """Build a box rule from its config.

    Args:
        config: ``dict(type=..., **settings)``.

    Raises:
        ValueError: If there is no such type, it is no box rule, or it refuses its settings.
    """
    return _build(config, BoxRule, 'box rule')


def _build(config: Mapping[str, Any], kind: type, name: str) -> Any:
    try:
        part = TASK_UTILS.build(dict(config))
    except (KeyError, TypeError) as error:
        reason = error.args[0] if error.args else error
        raise ValueError(f'{name}: {config} cannot be built ({reason})') from error
    if not isinstance(part, kind):
        raise ValueError(f'{name}: {config["type"]} is no {name}')
    return part


def generate_from_config(path: str | Path, device: str | None = None) -> GenerationSummary:
    """Make the maps that a config file describes, or finish what was begun.

    Args:
        path: Config with the arguments of :func:`agssp_mm.images.list_images` (``images``, ``image_root``,
            ``sources``) and of :func:`agssp_mm.maps.generate.generate_maps`, and the ``teacher``.
        device: Where the teacher runs; default: "cuda" where there is one.

    Raises:
        FileNotFoundError: If the config or the images do not exist.
        ValueError: If a setting does not fit.
    """
    config = Config.fromfile(path).to_dict()
    teacher = build_teacher(config['teacher']).to(choose_device(device))
    images = list_images(config['images'], config.get('image_root'), config.get('sources'))
    ranges: dict[str, Any] = {name: tuple(config[name]) for name in ('value_range', 'value_percentiles')
                              if config.get(name)}
    return generate_maps(images, teacher, config['store'], batch_size=config.get('batch_size', 8),
                         seed=config.get('seed', 0), **ranges)
