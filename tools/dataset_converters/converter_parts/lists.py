"""Splits that a publication gives as lists of names."""
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from .coco import LabelledImage, Problem


def split_of_lists(root: Path, train: str, val: str, images: Sequence[LabelledImage],
                   problems: list[Problem]) -> dict[str, str] | None:
    """Read two text files with one image a line; only the last part of each path is looked at.

    Returns:
        File name -> 'train' or 'val'; None if there are no such files.

    Raises:
        ValueError: If an image is in both lists.
    """
    paths = dict(train=root / train, val=root / val)
    if not all(path.is_file() for path in paths.values()):
        return None
    by_name = {PurePosixPath(image['file_name']).name: image['file_name'] for image in images}
    split: dict[str, str] = {}
    for part, path in paths.items():
        for line in filter(None, map(str.strip, path.read_text().splitlines())):
            name = PurePosixPath(line.replace('\\', '/')).name
            if name not in by_name:
                problems.append((path.name, f'{name} is listed, but was not read'))
            elif split.setdefault(by_name[name], part) != part:
                raise ValueError(f'{name} is in both {train} and {val}; an image may be in one part only')
    return split
