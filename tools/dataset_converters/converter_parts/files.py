"""Finding and measuring the images of a data set."""
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from agssp_mm.images import UnreadableImageError, read_image
from agssp_mm.images.listing import IMAGE_SUFFIXES

from .coco import Problem


def check_root(root: Path) -> None:
    """Raise FileNotFoundError unless the folder of the data set exists."""
    if not root.is_dir():
        raise FileNotFoundError(f'{root} is no folder; give the folder that the data set was unpacked into')


def name_below(path: Path, root: Path) -> str:
    """POSIX path of a file relative to the root."""
    return path.relative_to(root).as_posix()


def images_by_stem(root: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> Mapping[str, list[Path]]:
    """All images below a folder by their names without suffix, each list sorted."""
    found = defaultdict(list)
    for path in sorted(root.rglob('*')):
        if path.suffix.lower() in suffixes and path.is_file():
            found[path.stem].append(path)
    return found


def measure(path: Path, root: Path, problems: list[Problem]) -> tuple[int, int] | None:
    """Read an image as training will.

    Returns:
        (width, height) in pixels; None, and a line in `problems`, if the file is damaged.
    """
    try:
        height, width = read_image(path).shape[:2]
    except UnreadableImageError as error:
        problems.append((name_below(path, root), f'unreadable image: {error}'))
        return None
    return width, height
