"""Arguments that several commands share."""
import argparse
from collections.abc import Mapping

from mmengine.config import Config
from mmengine.registry import TASK_UTILS

from ..maps.boxes import BoxRule
from ..teachers.base import Teacher
from ..teachers.naming import kebab, teacher_names
from ..teachers.placing import choose_device
from .settings_action import SettingsAction

SUMMARY = None  # not a command
DEFAULT_RULE = 'component-tree'


def add_image_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which images are meant, and how they are read."""
    add_image_list(parser)
    _add_reading(parser)


def add_image_list(parser: argparse.ArgumentParser) -> None:
    """Declare which images are meant, for a command that reads them as another file says."""
    parser.add_argument('images', help='folder, text file of names, or COCO JSON (only the file names are read)')
    _add_root(parser)


def add_listing_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how the images are listed and read."""
    _add_root(parser)
    _add_reading(parser)


def _add_root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--root', help='folder that listed names are relative to (default: the folder itself, or '
                                       'the folder that holds the list)')


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--sources', nargs='+', metavar='NAME=WHERE',
                        help='declared parts of the set, each a sub-folder or a file of names')
    parser.add_argument('--value-range', nargs=2, type=float, metavar=('LOW', 'HIGH'),
                        help='grey values of deep images that become 0 and 255 (default: the full range of the type)')
    parser.add_argument('--value-percentiles', nargs=2, type=float, metavar=('LOW', 'HIGH'),
                        help='measure that range once over the images of each source: percentiles of their grey '
                             'values, e.g. 0.1 99.9; recorded in the store')


def add_teacher_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which teacher is meant."""
    parser.add_argument('--teacher', default='texture', help='name of the teacher (default texture)')
    parser.add_argument('--teacher-options', nargs='+', action=SettingsAction, default={}, metavar='KEY=VALUE',
                        help='settings of the teacher')
    parser.add_argument('--device', default=None,
                        help='where the teacher runs: "cpu", "cuda", ... (default: cuda where there is one); it moves '
                             'the teacher alone, no training')


def add_rule_arguments(parser: argparse.ArgumentParser, default: str | None = DEFAULT_RULE, where: str = '') -> None:
    """Declare which box rule is meant.

    Args:
        parser: Gets the arguments.
        default: What no option stands for.
        where: When the options count, for the help.
    """
    parser.add_argument('--rule', default=default, metavar='NAME',
                        help=f'box rule{where}: {" or ".join(rule_names())} (default {DEFAULT_RULE})')
    parser.add_argument('--rule-options', nargs='+', action=SettingsAction, default={}, metavar='KEY=VALUE',
                        help='settings of the rule')


def rule_names() -> dict[str, str]:
    """Command-line name -> registered class name, for every registered box rule."""
    classes = {name: cls for name, cls in TASK_UTILS.module_dict.items()
               if isinstance(cls, type) and issubclass(cls, BoxRule)}
    return {kebab(name.removesuffix('BoxRule')): name for name in sorted(classes)}


def build_rule(name: str, options: Mapping) -> BoxRule:
    """Build the rule that the command line asks for.

    Raises:
        ValueError: If there is no such rule, or it refuses its settings.
    """
    names = rule_names()
    if name not in names:
        raise ValueError(f'unknown box rule {name!r}; there are: {", ".join(names)}')
    try:
        return TASK_UTILS.build(dict(type=names[name], **options))
    except TypeError as error:
        raise ValueError(f'box rule {name!r} refuses the settings {dict(options)}: {error}') from error


def rule_config(name: str, options: Mapping) -> dict:
    """Config of the rule that the command line asks for.

    Raises:
        ValueError: As of :func:`build_rule`.
    """
    build_rule(name, options)
    return dict(type=rule_names()[name], **options)


def parse_sources(pairs: list[str] | None) -> dict[str, str] | None:
    """``['a=folder', 'b=list.txt']`` -> ``{'a': 'folder', 'b': 'list.txt'}``.

    Raises:
        ValueError: If a pair has no ``=``.
    """
    if not pairs:
        return None
    wrong = [pair for pair in pairs if '=' not in pair]
    if wrong:
        raise ValueError(f'--sources takes NAME=WHERE pairs, got {wrong}')
    return dict(pair.split('=', 1) for pair in pairs)


def teacher_config(args: argparse.Namespace) -> dict:
    """Config of the teacher that the command line asks for.

    Raises:
        ValueError: If there is no such teacher.
    """
    names = teacher_names()
    if args.teacher not in names:
        raise ValueError(f'unknown teacher {args.teacher!r}; there are: {", ".join(names)}')
    settings = Config()
    settings.merge_from_dict(args.teacher_options)  # a.b=c is the entry b of the setting a
    return dict(type=names[args.teacher], **settings.to_dict())


def build_teacher(args: argparse.Namespace) -> Teacher:
    """Build the teacher that the command line asks for, on its device.

    Raises:
        ValueError: If there is no such teacher or device, or it refuses its settings.
    """
    config, device = teacher_config(args), choose_device(args.device)
    try:
        teacher = TASK_UTILS.build(config)
    except TypeError as error:
        raise ValueError(f'teacher {args.teacher!r} refuses the settings {dict(args.teacher_options)}: '
                         f'{error}') from error
    return teacher.to(device)
