"""The result lines: one JSON object per finished fine-tuning, appended and never changed."""
import json
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .grid import Run

_KEY = tuple(Run.__dataclass_fields__)


def read_lines(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """All result lines of some files; a last line that was cut off is passed over.

    Raises:
        ValueError: If another line is no JSON object with the fields of a run and ``metrics``.
    """
    lines = []
    for path in paths:
        texts = path.read_text(encoding='utf-8').splitlines(keepends=True) if path.is_file() else []
        for number, text in enumerate(texts, 1):
            try:
                line = json.loads(text)
            except json.JSONDecodeError as error:
                if number == len(texts) and not text.endswith('\n'):
                    break
                raise ValueError(f'{path}, line {number}: no JSON ({error}); mend or delete the line') from error
            missing = [key for key in (*_KEY, 'metrics') if key not in line]
            if missing:
                raise ValueError(f'{path}, line {number}: {", ".join(missing)} missing; '
                                 'this is no result of transfer.py')
            lines.append(line)
    return lines


def is_done(run: Run, lines: Iterable[Mapping[str, Any]], options: Mapping[str, Any]) -> bool:
    """Whether a line of this very run is among them.

    Args:
        run: The run.
        lines: What :func:`read_lines` read.
        options: What goes before its configs, as of ``options_of``. Lines that do not say theirs fit any.

    Raises:
        ValueError: If there is one with other options: the two would look the same in the table.
    """
    own = [line for line in lines if all(line[key] == value for key, value in asdict(run).items())]
    for line in own:
        if line.get('options', options) != options:
            raise ValueError(f'{run.name} is there with the options {line["options"]}, now given are {options}; give '
                             'another file to --out, where the rows without a recipe are measured with them too')
    return bool(own)


def append_line(path: Path, run: Run, **facts: Any) -> None:
    """Add the line of a finished run; a line that an interrupted write left half is cut off first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'a+b') as file:
        file.seek(0)
        whole = file.read()
        end = whole.rfind(b'\n') + 1
        if _is_json(whole[end:]):  # editors may leave out the last line break
            file.write(b'\n')
        else:
            file.truncate(end)
        file.write(json.dumps({**asdict(run), **facts}).encode() + b'\n')
        file.flush()
        os.fsync(file.fileno())


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def versions() -> dict[str, str]:
    """Versions of what computes the result."""
    import mmdet
    import mmengine
    import torch

    import agssp_mm
    return dict(agssp_mm=agssp_mm.__version__, torch=torch.__version__, mmengine=mmengine.__version__,
                mmdet=mmdet.__version__, python=platform.python_version())
