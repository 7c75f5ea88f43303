"""``KEY=VALUE ...`` on a command line."""
import argparse
from collections.abc import Sequence
from typing import Any

from mmengine.config import DictAction

SUMMARY = None  # not a command


class SettingsAction(DictAction):
    """MMEngine's :class:`~mmengine.config.DictAction`, which says what is wrong with a word without ``=``."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace,
                 values: Sequence[str] | str | None, option_string: str | None = None) -> Any:
        wrong = [word for word in values or () if '=' not in word]
        if wrong:
            raise ValueError(f'{option_string} takes KEY=VALUE pairs, got {wrong}')
        return super().__call__(parser, namespace, values, option_string)
