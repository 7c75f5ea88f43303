import argparse

import pytest

from agssp_mm.commands.settings_action import SettingsAction


def parse(*words):
    parser = argparse.ArgumentParser()
    parser.add_argument('--options', nargs='+', action=SettingsAction, default={})
    return parser.parse_args(['--options', *words]).options


def test_values_are_read_as_by_mmengine():
    assert parse('a=1', 'b.c=x', 'd=[1,2]') == {'a': 1, 'b.c': 'x', 'd': [1, 2]}


def test_a_word_without_a_value_is_named():
    with pytest.raises(ValueError, match=r"--options takes KEY=VALUE pairs, got \['long_side'\]"):
        parse('a=1', 'long_side')
