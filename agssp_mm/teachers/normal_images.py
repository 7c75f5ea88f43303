"""Which normal images a teacher learns from, where there are any: all, or a seeded choice."""
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from agssp_mm.images import content_key, list_images, read_image
from agssp_mm.images.listing import IMAGE_SUFFIXES

#: A folder, a text file of names, a COCO JSON, one image, or a list of image files.
Normals = str | Path | Sequence[str | Path]


def check_number(number: int | None, normals: Normals | None) -> None:
    """Refuse a number of normal images that is none, or goes with no images.

    Raises:
        ValueError: If it does.
    """
    if number is not None and (normals is None or not isinstance(number, int) or number < 1):
        raise ValueError(f'num_normals must be None (all) or a number from 1 on, and goes with normals; got {number!r} '
                         f'and normals={normals!r}')


def as_setting(normals: Normals | None) -> str | list[str] | None:
    """What names the normal images, as plain values."""
    if normals is None or isinstance(normals, str):
        return normals
    return [str(path) for path in normals] if isinstance(normals, Sequence) else str(normals)


def pick_normals(normals: Normals, number: int | None, seed: int, what: str = '') -> tuple[Path, ...]:
    """Paths of the normal images.

    Args:
        normals: Where they are.
        number: How many to use; ``None`` for all.
        seed: Picks which, by their content and not by their names.
        what: Of what they are, for error messages.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If there are fewer than asked.
    """
    paths = _as_list(normals)
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise FileNotFoundError(f'{len(missing)} of {len(paths)} normal images{what} do not exist, e.g. {missing[:3]}')
    if number is None:
        return tuple(paths)
    if len(paths) < number:
        raise ValueError(f'there are {len(paths)} normal images{what}, but num_normals={number} asks for more; give '
                         'more images as normals, or a smaller num_normals')
    return tuple(sorted(paths, key=lambda path: content_key(path, seed))[:number])


def _as_list(images: Normals) -> list[Path]:
    if not isinstance(images, (str, Path)):
        return [Path(image) for image in images]
    if Path(images).suffix.lower() in IMAGE_SUFFIXES:
        return [Path(images)]
    listed = list_images(images)
    return [listed.path(entry) for entry in listed]


def to_learn_from(images: Iterable[np.ndarray], normals: 'NormalImages | None') -> Iterable[np.ndarray]:
    """What a teacher learns from: the normal images, where there are any, cut as the others are (``TiledTeacher``)."""
    if normals is None:
        return images
    cut = getattr(images, 'cut', None)
    return cut(normals) if cut else normals


class NormalImages:
    """Decoded normal images that may be iterated several times; none is kept.

    Args:
        paths: Of the images.
        value_range: Grey values of deep images that become 0 and 255.
    """

    def __init__(self, paths: Sequence[Path], value_range: tuple[float, float] | None) -> None:
        self.paths, self.value_range = tuple(paths), value_range

    def __iter__(self) -> Iterator[np.ndarray]:
        return (read_image(path, self.value_range) for path in self.paths)
