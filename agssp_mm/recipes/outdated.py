"""What is out of date once an earlier stage of a run is trained anew."""
import os
from collections.abc import Sequence
from pathlib import Path

from ..files import unused_path


def set_outdated_aside(folder: Path, left_by_later: Sequence[str]) -> list[str]:
    """Rename what later stages left to ``<name>.old``, ``<name>.old2``, ..., so that they are done again.

    They started from, or took boxes of, the stage that is trained anew now; taken up again they would give the old
    detector under the new settings. Nothing is deleted, because it may have taken days.

    Args:
        folder: Of the run.
        left_by_later: Names in it of the later stages' files and folders; some may not be there.

    Returns:
        The names that were there.
    """
    found = [name for name in left_by_later if (folder / name).exists()]
    for name in found:
        os.replace(folder / name, unused_path(folder / f'{name}.old'))
    return found
