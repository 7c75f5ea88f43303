"""Finding and reading maps that other tools have written."""
import os
from collections.abc import Iterable
from contextlib import suppress
from itertools import product
from pathlib import Path, PurePosixPath

import numpy as np

from agssp_mm.images import UnreadableImageError
from agssp_mm.images.reading import decode_values

from .base import NoMapError

MAP_SUFFIXES = ('.npy', '.png', '.tif', '.tiff')
_ENDINGS = ('_anomaly_map', '_anomaly_maps', '_map', '_heatmap', '.anomaly_map', '_anomaly')
#: (Folders, stem, whether an ending was cut off it) -> maps.
_Index = dict[tuple[tuple[str, ...], str, bool], list[str]]
_IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')


class MapFolder:
    """Knows which file of a folder is the map of which image.

    For the image ``steel/a.jpg``, in this order: a file at the same place (``steel/a.npy``, ``steel/a.jpg.png``,
    ``steel/a_anomaly_map.tiff``); one whose path ends so (``results/latest/images/steel/a.png``, as anomalib's runs
    and MVTec's evaluation lay them out); one whose own folders end the image's (``a.npy`` in a flat folder). Several
    that fit equally well are an error for that image; a name with an ending such as ``_map`` fits less well than one
    without.

    Args:
        folder: Searched with its sub-folders.

    Raises:
        FileNotFoundError: If there is no such folder, or no map in it.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise FileNotFoundError(f'folder of maps: {folder} is not a folder')
        self.folder = folder
        self._names: list[str] = []
        self._at: _Index = {}
        self._below: _Index = {}
        for where, folders, files in os.walk(folder):
            folders[:] = sorted(name for name in folders if not name.startswith('.'))
            for file in sorted(files):
                if file.lower().endswith(MAP_SUFFIXES) and not file.startswith('.'):
                    self._add(Path(os.path.relpath(os.path.join(where, file), folder)).as_posix())
        if not self._names:
            raise FileNotFoundError(f'no map in {folder}: files ending in {", ".join(MAP_SUFFIXES)} are looked for')

    def _add(self, name: str) -> None:
        self._names.append(name)
        path = PurePosixPath(name)
        parts = path.parent.parts
        for stem, is_cut in _stems(path.stem):
            self._at.setdefault((parts, stem, is_cut), []).append(name)
            for start in range(len(parts) + 1):
                self._below.setdefault((parts[start:], stem, is_cut), []).append(name)

    @property
    def files(self) -> list[Path]:
        """All maps of the folder, sorted."""
        return [self.folder / name for name in sorted(self._names)]

    def find(self, name: str) -> Path:
        """Path of the map of one image.

        Args:
            name: POSIX path of the image below its root.

        Raises:
            NoMapError: If there is none, or several that fit equally well.
        """
        image = PurePosixPath(name)
        folders = image.parent.parts
        outer = [folders[start:] for start in range(1, len(folders) + 1)]
        for index, places in ((self._at, [folders]), (self._below, [folders]), (self._at, outer)):
            # With a.jpg and a.png side by side, a.jpg.npy is the map of the first only.
            for stem, is_cut in product((image.name, image.stem), (False, True)):
                found = [one for place in places for one in index.get((place, stem, is_cut), ())]
                if len(found) > 1:
                    raise NoMapError(f'several maps of {name} in {self.folder}: {found[:3]}; keep one')
                if found:
                    return self.folder / found[0]
        raise NoMapError(f'no map of {name} in {self.folder}')

    def check_names(self, names: Iterable[str]) -> None:
        """Refuse images that would share a map.

        Args:
            names: POSIX paths of all images below their root.

        Raises:
            ValueError: If one file would be the map of two of them, as with ``a.npy`` in a flat folder and images
                ``x/a.png`` and ``y/a.png``.
        """
        owners: dict[Path, str] = {}
        for name in names:
            with suppress(NoMapError):
                owner = owners.setdefault(path := self.find(name), name)
                if owner != name:
                    raise ValueError(f'{path} would be the map of {owner} and of {name}; put each map into a folder '
                                     'named as that of its image, or give it the name of its image with the ending, '
                                     'as a.jpg.npy')


def read_map_file(path: Path) -> np.ndarray:
    """Read one map: (h, w) float32, its values as they are.

    Raises:
        NoMapError: If it is damaged, empty, no grey map, or holds anything but real numbers.
    """
    try:
        values = np.load(path, allow_pickle=False) if path.suffix.lower() == '.npy' else (
            decode_values(path.read_bytes(), str(path)))
    except (OSError, ValueError, EOFError, UnreadableImageError) as error:
        raise NoMapError(f'{path} cannot be read as a map: {error}') from error
    if not isinstance(values, np.ndarray):
        raise NoMapError(f'{path} is an archive of arrays (.npz); a map is one array')
    if values.dtype.kind not in 'uifb':
        raise NoMapError(f'{path} holds {values.dtype}; a map holds real numbers')
    if values.ndim == 3 and values.shape[-1] == 3 and path.suffix.lower() != '.npy':
        if (values != values[..., :1]).any():
            raise NoMapError(f'{path} is a colour picture; give the map itself, grey, not a drawing of it')
        values = values[..., 0]
    while values.ndim > 2 and values.shape[0] == 1:
        values = values[0]
    if values.ndim != 2 or not values.size:
        raise NoMapError(f'{path} holds an array of shape {values.shape}; a map is (h, w)')
    return np.ascontiguousarray(values, dtype=np.float32)


def _stems(stem: str) -> set[tuple[str, bool]]:
    """What the image of a map may be called, and whether an ending was cut off for that.

    ``a.jpg`` -> ``a.jpg`` and ``a``; ``a_map`` -> ``a_map`` and, cut, ``a``.
    """
    short = stem
    for ending in _ENDINGS:
        short = short.removesuffix(ending)
    whole = {(stem, False), (short, short != stem)}
    return whole | {(PurePosixPath(one).stem, is_cut) for one, is_cut in whole if one.lower().endswith(_IMAGE_SUFFIXES)}
