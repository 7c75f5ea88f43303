"""The folder of a pretraining run: whose it is, and what is done in it."""
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..files import write_atomically

RECORD = 'pretrain.json'
_ADDED = ('maps',)  # settings that records of older runs do not have


class RunFolder:
    """A folder that belongs to one run.

    Args:
        path: The folder; made by `claim`.

    Attributes:
        labels: What the fine-tuning of the run was made for, once `check` has read it; None if it has no labels.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.labels: dict[str, Any] | None = None

    def check(self, settings: Mapping[str, Any], resume: bool = True) -> bool:
        """See whether a run with these settings may write here, without writing anything.

        Args:
            settings: What the results depend on, plain JSON.
            resume: Whether to go on with what is there.

        Returns:
            Whether there is something to go on with.

        Raises:
            ValueError: If the folder is a file, holds anything else, another run, or this one and ``resume`` is not
                set.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f'out: {self.path} is a file; give a folder')
        if not self.path.is_dir() or not any(self.path.iterdir()):
            return False
        record = self.path / RECORD
        if not record.is_file():
            raise ValueError(f'out: {self.path} holds files of something else (no {RECORD}); give a new folder')
        found, wanted = json.loads(record.read_text(encoding='utf-8')), _plain(settings)
        self.labels = found.pop('labels', None)
        found = dict({key: wanted[key] for key in _ADDED if key in wanted}, **found)
        different = sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key))
        if different:
            changes = '; '.join(f'{key} was {_short(found.get(key))}, now {_short(wanted.get(key))}'
                                for key in different[:4])
            raise ValueError(f'out: {self.path} is the folder of another run ({changes}); give a new folder, or the '
                             'settings of that run to go on with it')
        if not resume:
            raise ValueError(f'out: {self.path} holds this very run already, and going on with it was ruled out; give '
                             'a new folder')
        return True

    def claim(self, settings: Mapping[str, Any], labels: Mapping[str, Any] | None = None) -> bool:
        """Make the folder and note the settings down.

        Args:
            settings: What the results depend on.
            labels: What the fine-tuning depends on beside; may change. None: as before.

        Returns:
            Whether these are other labels than before.
        """
        labels = _plain(labels) if labels else self.labels
        is_other, self.labels = labels != self.labels, labels
        self.path.mkdir(parents=True, exist_ok=True)
        with write_atomically(self.path / RECORD) as file:
            file.write((json.dumps(dict(_plain(settings), labels=labels), indent=1, sort_keys=True) + '\n').encode())
        return is_other

    def take_up(self, stage: str, name: str) -> Path:
        """Put what a finished stage exported at the top of the folder; its being there marks the stage as done.

        The stage's own file stays, because its log names it; it is the same one where the disk can link.
        """
        source, unfinished = self.path / stage / name, self.path / f'.{name}'
        unfinished.unlink(missing_ok=True)
        try:
            os.link(source, unfinished)
        except OSError:
            shutil.copyfile(source, unfinished)
        os.replace(unfinished, self.path / name)
        return self.path / name


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(dict(settings)))


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f'{text[:77]}...'
