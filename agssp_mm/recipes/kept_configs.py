"""What a call asks for that the configs of a run it goes on with say otherwise."""
from collections.abc import Mapping
from pathlib import Path

from mmengine.config import Config

from ..engine.launch import load_config

# Settings that may differ from call to call -> where they stand in a config, and in the configs of which stage.
_PLACES = dict(workers=('train_dataloader.num_workers', None), finetune_epochs=('train_cfg.max_epochs', 'finetune'))


def kept_notes(paths: Mapping[str, Path], wanted: Mapping[str, Config], asked: Mapping[str, object]) -> list[str]:
    """Notes for people: which of the settings that were given do not reach a config that is there already.

    Args:
        paths: Stage -> config file; those that do not exist yet will be written as wanted.
        wanted: Stage -> the config that these settings would give.
        asked: Settings that were given in this very call.
    """
    notes: list[str] = []
    for setting, (place, only) in _PLACES.items():
        if asked.get(setting) is None:
            continue
        for stage in [name for name in wanted if name != 'maps' and only in (None, name) and paths[name].is_file()]:
            new, old = (_look_up(config, place) for config in (wanted[stage], load_config(paths[stage])))
            if new != old:
                notes.append(f'{paths[stage]} is there and stays as it is: its {place} is {old}, where this '
                             f'call has {new}; edit it there')
    return notes


def _look_up(config: Config, place: str) -> object:
    value: object = config
    for key in place.split('.'):
        value = value.get(key) if isinstance(value, (Mapping, Config)) else None
    return value
