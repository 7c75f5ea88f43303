"""Overlapping tiles, for any teacher: large and elongated images keep their aspect ratio and their detail."""
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from mmengine.registry import TASK_UTILS

from agssp_mm.teachers.asking import described
from agssp_mm.teachers.base import AnomalyMaps, Teacher
from agssp_mm.teachers.naming import teacher_of

#: Tiles and, for each, the place of its image in the batch -> maps and scores of the tiles.
PredictTiles = Callable[[list[np.ndarray], list[int]], AnomalyMaps]


@dataclass(frozen=True)
class Tiling:
    """How images are cut into square tiles that lie wholly inside them, evenly spread.

    Attributes:
        size: Side of a tile in pixels, less in images that are smaller; or ``'short'`` for the shorter side of each
            image.
        overlap: Least share of a tile that its neighbour sees too, in [0, 0.9].
        batch_size: Tiles scored at once; with the map of the image, all that is held in memory.
    """

    size: int | str
    overlap: float = 0.25
    batch_size: int = 16

    def __post_init__(self) -> None:
        if self.size != 'short' and (not isinstance(self.size, int) or self.size < 8):
            raise ValueError("the size of tiles must be a number of pixels from 8 on, or 'short', got "
                             f'{self.size!r}')
        if not 0 <= self.overlap <= 0.9:
            raise ValueError(f'the overlap of tiles must lie in [0, 0.9], got {self.overlap!r}')
        if not isinstance(self.batch_size, int) or self.batch_size < 1:
            raise ValueError(f'the batch_size of tiles must be a number from 1 on, got {self.batch_size!r}')

    @classmethod
    def of(cls, setting: 'int | str | Mapping[str, Any] | Tiling | None') -> 'Tiling | None':
        """Read a setting: a size, a mapping of the attributes, or ``None`` for no tiles."""
        if setting is None or isinstance(setting, Tiling):
            return setting
        if isinstance(setting, (int, str)):
            return cls(setting)
        unknown = sorted(set(setting) - set(cls.__dataclass_fields__))
        if unknown or 'size' not in setting:
            raise ValueError(f'tiles need a size and may have overlap and batch_size, got {dict(setting)}')
        return cls(**setting)

    def to_dict(self) -> dict[str, Any]:
        """The attributes as plain values."""
        return asdict(self)

    def side(self, height: int, width: int) -> int:
        """Side of the tiles of one image, pixels: at most its shorter side."""
        return min(height, width) if isinstance(self.size, str) else min(self.size, height, width)

    def starts(self, length: int, side: int) -> list[int]:
        """First pixel of every tile along a side of ``length`` pixels.

        Example:
            >>> Tiling(size=100, overlap=0.25).starts(250, 100)
            [0, 75, 150]
        """
        stride = max(1.0, side * (1 - self.overlap))
        steps = int(np.ceil((length - side) / stride - 1e-9))
        return [round(step * (length - side) / steps) for step in range(steps + 1)] if steps else [0]


def predict_tiled(predict: PredictTiles, images: Sequence[np.ndarray], tiling: Tiling) -> AnomalyMaps:
    """Score images tile by tile and blend the maps.

    The maps keep the resolution that a teacher has on a tile: an image that is n tiles long has a map n times
    as long as a tile's. Where tiles overlap, each counts the more the farther its edge is. The score of an
    image is the highest of its tiles.

    Args:
        predict: Scores a list of tiles.
        images: (H, W, 3) uint8 BGR arrays of any sizes.
        tiling: How to cut.
    """
    mosaics = [_Mosaic(image, tiling) for image in images]
    scores = np.full(len(images), -np.inf, dtype=np.float32)
    places = ((owner, place) for owner, mosaic in enumerate(mosaics) for place in mosaic.places)
    while chunk := list(islice(places, tiling.batch_size)):
        owners = [owner for owner, _ in chunk]
        maps, tile_scores = predict([mosaics[owner].tile(place) for owner, place in chunk], owners)
        for (owner, place), tile_map, score in zip(chunk, maps, tile_scores, strict=True):
            mosaics[owner].add(place, tile_map)
            scores[owner] = max(scores[owner], score)
    return AnomalyMaps([mosaic.blended() for mosaic in mosaics], scores)


class _Mosaic:
    """The map of one image while its tiles come in; weights are separable, so only sums per axis are kept."""

    def __init__(self, image: np.ndarray, tiling: Tiling) -> None:
        self.image, self.overlap = image, tiling.overlap
        height, width = image.shape[:2]
        self.side = tiling.side(height, width)
        self.starts = tiling.starts(height, self.side), tiling.starts(width, self.side)
        self.places = list(product(range(len(self.starts[0])), range(len(self.starts[1]))))
        self.sum: np.ndarray | None = None

    def tile(self, place: tuple[int, int]) -> np.ndarray:
        top, left = (starts[index] for starts, index in zip(self.starts, place))
        return np.ascontiguousarray(self.image[top:top + self.side, left:left + self.side])

    def add(self, place: tuple[int, int], tile_map: np.ndarray) -> None:
        if self.sum is None:
            self.sum = self._lay_out(tile_map.shape)
        row, column = place
        (rows, row_weights), (columns, column_weights) = self.axes[0][row], self.axes[1][column]
        self.sum[rows, columns] += row_weights @ tile_map @ column_weights.T

    def blended(self) -> np.ndarray:
        rows, columns = self.totals
        return (self.sum / rows[:, None] / columns).astype(np.float32, copy=False)

    def _lay_out(self, cells: Sequence[int]) -> np.ndarray:
        lengths = [max(1, round(pixels * count / self.side))
                   for pixels, count in zip(self.image.shape, cells)]
        self.axes, self.totals = [], []
        for pixels, count, length, starts in zip(self.image.shape, cells, lengths, self.starts):
            axis = [self._axis_weights(start, pixels, count, length) for start in starts]
            total = np.zeros(length, dtype=np.float32)
            for where, weights in axis:
                total[where] += weights.sum(1)
            self.axes.append(axis)
            self.totals.append(total)
        return np.zeros(lengths, dtype=np.float32)

    def _axis_weights(self, start: int, pixels: int, count: int, length: int) -> tuple[slice, np.ndarray]:
        """Cells of the image's map that a tile covers along one axis, and how they mix the tile's cells.

        Returns:
            A slice of n cells and (n, count) float32: linear interpolation times the weight of the tile.
        """
        inside = ((np.arange(length) + 0.5) * pixels / length - start) / self.side
        where = slice(int(np.searchsorted(inside, 0)), int(np.searchsorted(inside, 1)))
        inside = inside[where]
        position = np.clip(inside * count - 0.5, 0, count - 1)
        lower = np.minimum(position.astype(int), max(count - 2, 0))
        share = position - lower
        weights = np.zeros((len(inside), count), dtype=np.float32)
        rows = np.arange(len(inside))
        weights[rows, lower] = 1 - share
        weights[rows, np.minimum(lower + 1, count - 1)] += share
        # Never 0: a cell that only one tile covers counts wherever in the tile it lies.
        taper = np.clip(np.minimum(inside, 1 - inside) / max(self.overlap, 1e-3), 1e-3, 1)
        return where, weights * taper[:, None].astype(np.float32)


def cut_tiles(images: Iterable[np.ndarray], tiling: Tiling) -> Iterator[np.ndarray]:
    """All tiles of (H, W, 3) images, one after another."""
    for image in images:
        mosaic = _Mosaic(image, tiling)
        yield from map(mosaic.tile, mosaic.places)


class _Tiles(Iterable[np.ndarray]):
    """All tiles of images that may be iterated several times."""

    def __init__(self, images: Iterable[np.ndarray], tiling: Tiling) -> None:
        self.images, self.tiling = images, tiling

    def __iter__(self) -> Iterator[np.ndarray]:
        return cut_tiles(self.images, self.tiling)

    def described(self) -> Iterator[tuple[np.ndarray, Any]]:
        """The same tiles, each with the facts of its image."""
        for image, facts in described(self.images):
            yield from ((tile, facts) for tile in cut_tiles([image], self.tiling))

    def cut(self, images: Iterable[np.ndarray]) -> '_Tiles':
        """The tiles of other images, as of these."""
        outer = getattr(self.images, 'cut', None)
        return _Tiles(outer(images) if outer else images, self.tiling)


@TASK_UTILS.register_module()
class TiledTeacher(Teacher):
    """Any teacher, run on overlapping tiles.

    Args:
        teacher: The teacher, its config, or just its type.
        size: Side of a tile in pixels, or ``'short'`` for the shorter side of each image.
        overlap: Least share of a tile that its neighbour sees too, in [0, 0.9].
        batch_size: Tiles scored at once.
    """

    def __init__(self, teacher: Teacher | dict[str, Any] | str, size: int | str, overlap: float = 0.25,
                 batch_size: int = 16) -> None:
        self._tiling = Tiling(size, overlap, batch_size)
        self._teacher = teacher_of(teacher)
        self.version = 2000 + self._teacher.version  # 1000 times the version of the cutting and blending
        self.needs_fit = self._teacher.needs_fit
        self.calibration_scale = self._teacher.calibration_scale
        self.uses_sources = self._teacher.uses_sources
        if self._teacher.uses_names:
            raise ValueError(f'{type(self._teacher).__name__} looks up maps of whole images by name, so it cannot be '
                             'run on tiles; use it without them')

    @property
    def settings(self) -> dict[str, Any]:
        teacher = dict(type=type(self._teacher).__name__, **self._teacher.settings)
        return dict(teacher=teacher, **self._tiling.to_dict())

    @property
    def source_files(self) -> Sequence[Path]:
        return self._teacher.source_files

    def fit(self, images: Iterable[np.ndarray]) -> None:
        """Fit the teacher on the tiles of the images, or of the normal images that it was given."""
        self._teacher.fit(_Tiles(images, self._tiling))

    def predict(self, images: Sequence[np.ndarray], sources: Sequence[str] | None = None) -> AnomalyMaps:
        def predict_tiles(tiles: list[np.ndarray], owners: list[int]) -> AnomalyMaps:
            extra = dict(sources=[sources[owner] for owner in owners]) if sources and self.uses_sources else {}
            return self._teacher.predict(tiles, **extra)

        return predict_tiled(predict_tiles, images, self._tiling)

    def to(self, device: str | torch.device) -> Self:
        self._teacher.to(device)
        return self

    def state_dict(self) -> dict[str, torch.Tensor]:
        return self._teacher.state_dict()

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        self._teacher.load_state_dict(state)
