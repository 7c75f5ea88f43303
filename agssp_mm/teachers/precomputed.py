"""Maps that another tool has made, as a teacher."""
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.registry import TASK_UTILS

from .base import AnomalyMaps, NoMapError, Teacher
from .feature_teacher import top_mean
from .map_files import MapFolder, read_map_file


@TASK_UTILS.register_module()
class PrecomputedTeacher(Teacher):
    """Takes maps from a folder: ``.npy``, grey PNG or TIFF, made by anomalib or any other tool.

    A map belongs to the image of the same name below its root, whatever the suffix; see
    :class:`agssp_mm.teachers.map_files.MapFolder` for the layouts. An image without a usable map is skipped and listed.

    Args:
        folder: Where the maps are.
        scale: Raw value that stands for certainly anomalous, e.g. 1.0 for anomalib's normalised maps, 255 for 8-bit
            pictures; default: the scale is fitted on a sample of the maps.

    Raises:
        FileNotFoundError: If there is no such folder, or no map in it.
        ValueError: If ``scale`` is not above 0.
    """

    version = 1
    uses_names = True

    def __init__(self, folder: str | Path, scale: float | None = None) -> None:
        if scale is not None and not 0 < scale < float('inf'):
            raise ValueError(f'scale must be a number above 0, got {scale}')
        self._maps = MapFolder(Path(folder))
        self.calibration_scale = scale
        self._settings = dict(folder=str(folder), scale=scale)

    @property
    def settings(self) -> dict[str, Any]:
        return self._settings

    @property
    def source_files(self) -> Sequence[Path]:
        return self._maps.files

    def check_names(self, names: Iterable[str]) -> None:
        self._maps.check_names(names)

    def predict(self, images: Sequence[np.ndarray], names: Sequence[str] | None = None) -> AnomalyMaps:
        """Look the maps up.

        Args:
            images: (H, W, 3) uint8 BGR arrays, not looked at.
            names: POSIX path of each image below its root.

        Raises:
            ValueError: If names are missing.
            NoMapError: If an image has no map, several, or one that cannot be used.
        """
        if names is None or len(names) != len(images):
            raise ValueError(f'PrecomputedTeacher needs the name of each of the {len(images)} images, got {names}')
        maps = [_checked(read_map_file(path := self._maps.find(name)), path) for name in names]
        return AnomalyMaps(maps, np.array([top_mean(one) for one in maps], dtype=np.float32))


def _checked(raw: np.ndarray, path: Path) -> np.ndarray:
    if not np.isfinite(raw).all() or raw.min() < 0:
        raise NoMapError(f'{path}: a map must be finite and >= 0, this one reaches from {raw.min()} to {raw.max()}')
    return raw
