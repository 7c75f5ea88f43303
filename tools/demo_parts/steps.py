"""Steps that are done once: a stamp tells what a folder was made from, and whether it is finished."""
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from agssp_mm.files import write_atomically

from .lanes import say

_STAMPS = 'steps'


class Step:
    """One step of the demo and the folder that it fills.

    The key of a step covers its inputs and the keys of the steps it builds on: a change anywhere makes
    everything after it anew, and nothing before it.

    Args:
        work_dir: Folder of the demo; holds ``steps/<name>.json`` and ``<name>/``.
        name: Name of the step and of its folder, e.g. ``finetune/seed0``.
        title: What it does, for people.
        inputs: What the result depends on, plain JSON.
        after: The steps whose results it uses.
    """

    def __init__(self, work_dir: Path, name: str, title: str, inputs: Mapping[str, Any],
                 after: Sequence[Self] = ()):
        self.name, self.title = name, title
        self.folder = work_dir / name
        self._stamp_path = work_dir / _STAMPS / f'{name.replace("/", "-")}.json'
        identity = json.dumps([name, inputs, [step.key for step in after]], sort_keys=True)
        self.key = hashlib.sha256(identity.encode()).hexdigest()

    @property
    def is_done(self) -> bool:
        """Whether the step ended with these inputs and its files are still there."""
        stamp = self._read_stamp()
        return (stamp.get('key') == self.key and stamp['done']
                and all((self.folder / file).is_file() for file in stamp['result'].get('files', ())))

    @property
    def result(self) -> dict[str, Any]:
        """What the work returned, plus ``seconds``."""
        return self._read_stamp()['result']

    def run(self, work: Callable[[Path], Mapping[str, Any]]) -> dict[str, Any]:
        """Do the work in the folder, or nothing if that was done before; returns the result.

        What an interrupted run with the same inputs left in the folder stays, for the work to continue. What
        was made from other inputs is deleted first.

        Args:
            work: Gets the folder, returns plain JSON; ``files`` lists files in the folder that must exist for
                the step to count as done.

        Raises:
            ValueError: If the folder holds something that no step has made.
        """
        if self.is_done:
            say(f'{self.title}: done before, {self.folder}')
            return self.result
        self._start()
        say(f'{self.title} ...')
        started = time.monotonic()
        result = dict(work(self.folder))
        result['seconds'] = round(time.monotonic() - started, 1)
        self._write_stamp(done=True, result=result)
        return result

    def _start(self) -> None:
        stamp = self._read_stamp()
        if not stamp and self.folder.is_dir() and any(self.folder.iterdir()):
            raise ValueError(f'{self.folder} is not empty and was not made by the demo; give another folder')
        if stamp and stamp['key'] != self.key:
            say(f'{self.title}: its settings have changed, made again')
            shutil.rmtree(self.folder, ignore_errors=True)
        if stamp.get('key') != self.key:
            self._write_stamp(done=False, result={})
        self.folder.mkdir(parents=True, exist_ok=True)

    def _read_stamp(self) -> dict[str, Any]:
        if not self._stamp_path.is_file():
            return {}
        return json.loads(self._stamp_path.read_text(encoding='utf-8'))

    def _write_stamp(self, done: bool, result: Mapping[str, Any]) -> None:
        self._stamp_path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(self._stamp_path) as file:
            file.write(json.dumps(dict(key=self.key, done=done, result=result), indent=1).encode())
