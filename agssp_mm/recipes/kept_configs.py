"""What a call asks for that the configs of a run it goes on with say otherwise."""
from collections.abc import Mapping
from pathlib import Path

from mmengine.config import Config

from ..engine.launch import load_config

# Settings that may differ from call to call -> where they stand in a config. Configs stay as they are, edits included.
_PLACES = dict(workers='train_dataloader.num_workers', finetune_epochs='train_cfg.max_epochs')
_STAGES = dict(workers=None, finetune_epochs='finetune')  # None: all that train


def kept_notes(paths: Mapping[str, Path], wanted: Mapping[str, Config], asked: Mapping[str, object]) -> list[str]:
    """Notes for people: which of the settings that were given do not reach a config that is there already.

    Args:
        paths: Stage -> config file; those that do not exist yet will be written as wanted.
        wanted: Stage -> the config that these settings would give.
        asked: Settings that were given in this very call.
    """
    notes = []
    for setting, place in _PLACES.items():
        if asked.get(setting) is None:
            continue
        for stage in wanted if _STAGES[setting] is None else [_STAGES[setting]]:
            if stage not in wanted or not paths[stage].is_file() or stage == 'maps':
                continue
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
