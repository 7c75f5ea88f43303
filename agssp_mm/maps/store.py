"""The map store: a folder of 16-bit grey PNGs that mirrors the image names."""
import hashlib
import json
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image, PngImagePlugin

from ..files import write_atomically
from ..images import ValueScaling
from ..teachers.calibrate import Calibration
from .records import MapRecord, SourceStatistics

FORMAT = 1
META_NAME, INDEX_NAME, PLAN_NAME, TEACHER_NAME = 'maps.json', 'index.jsonl', 'plan.jsonl', 'teacher.pth'
_STEPS = 65535
_TEXT_KEY = 'agssp'


class MapStore:
    """Calibrated anomaly maps of a list of images, on disk.

    ``<image name>.png`` holds one map as 16-bit grey, ``round(65535 * calibrated)``; its text chunk carries image
    size, score and peak. ``maps.json`` says what made the maps, ``index.jsonl`` lists them in the order of their
    content keys. Open one with :meth:`open`; :func:`agssp_mm.maps.generate.generate_maps` makes it.
    """

    def __init__(self, path: str | Path, meta: dict[str, Any]):
        self.path = Path(path)
        self.meta = meta
        self.calibration = Calibration.from_dict(meta['calibration'])

    @classmethod
    def open(cls, path: str | Path, partial: bool = False) -> Self:
        """Open a store.

        Args:
            path: Folder of the store.
            partial: Accept one whose generation has not finished.

        Raises:
            FileNotFoundError: If there is no store.
            ValueError: If ``maps.json`` is damaged, of another format, or the store is unfinished.
        """
        meta_path = Path(path) / META_NAME
        if not meta_path.is_file():
            raise FileNotFoundError(f'no map store at {path}: {META_NAME} is missing; '
                                    'make one with tools/generate_maps.py IMAGES STORE')
        try:
            meta = json.loads(meta_path.read_text(encoding='utf-8'))
            found = meta['format']
            if found == FORMAT:
                store = cls(path, meta)
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f'{meta_path} is damaged ({type(error).__name__}: {error}); '
                             'delete the store and generate it again') from error
        if found != FORMAT:
            raise ValueError(f'{meta_path} has format {found}, this version reads format {FORMAT}; '
                             'generate the maps again')
        if not (partial or meta['complete']):
            raise ValueError(f'the map store {path} is unfinished: its generation was interrupted; '
                             'run the same tools/generate_maps.py command again, it continues')
        return store

    @cached_property
    def index(self) -> list[MapRecord]:
        """One record per stored map, sorted by content key."""
        lines = (self.path / INDEX_NAME).read_text(encoding='utf-8').splitlines()
        return [MapRecord(*json.loads(line)) for line in lines]

    @property
    def index_is_there(self) -> bool:
        """Whether the index was written; a finished store has one, unless somebody deleted it."""
        return (self.path / INDEX_NAME).is_file()

    @property
    def statistics(self) -> dict[str, SourceStatistics]:
        """Statistics of the maps, per source."""
        return {source: SourceStatistics(**values) for source, values in self.meta['statistics'].items()}

    @property
    def skipped(self) -> dict[str, str]:
        """Names of the images that have no map, with the reason."""
        return self.meta['skipped']

    def not_covered(self, names: Iterable[str]) -> list[str]:
        """Those of these images that have no map and are not among the skipped, in the given order."""
        known = {record.name for record in self.index} | set(self.skipped)
        return [name for name in names if name not in known]

    @property
    def scaling(self) -> ValueScaling:
        """How the grey values of deep images were scaled before the teacher saw them."""
        return ValueScaling.from_meta(self.meta)

    @cached_property
    def _sources(self) -> dict[str, str]:
        lines = (self.path / PLAN_NAME).read_text(encoding='utf-8').splitlines()
        return {name: source for _, name, source in map(json.loads, lines)}

    def source_of(self, name: str) -> str:
        """Declared source of an image; of one that was not in the list, the only source there is.

        Raises:
            KeyError: If there are several sources and the image was not in the list.
        """
        declared = self.meta['images']['sources']
        if len(declared) == 1:
            return declared[0]
        if name not in self._sources:
            raise KeyError(f'{name} is not among the images of the map store {self.path}, so it is not known to which '
                           f'of the sources {declared} it belongs; generate a store for a list with this image')
        return self._sources[name]

    def fingerprint(self) -> str:
        """Digest of what the maps were made from and of their scores: tells whether two stores hold the same maps."""
        digest = hashlib.sha256()
        for name in (META_NAME, INDEX_NAME):
            digest.update((self.path / name).read_bytes())
        return digest.hexdigest()

    @staticmethod
    def map_name(name: str) -> str:
        """Where the map of an image lies, relative to the store."""
        return f'{name}.png'

    def map_path(self, name: str) -> Path:
        """Where the map of an image lies."""
        return self.path / self.map_name(name)

    def read(self, name: str) -> np.ndarray:
        """Read one map: (h, w) float32, calibrated, in [0, 1].

        Raises:
            KeyError: If the store has no map of this image.
            ValueError: If the map file is damaged or of another format.
        """
        return to_calibrated(read_map(self.map_path(name))[0])

    def read_raw(self, name: str) -> np.ndarray:
        """Read one map on the teacher's own scale: (h, w) float32, >= 0; errors as in :meth:`read`."""
        return self.calibration.invert(self.read(name))

    def write(self, name: str, raw: np.ndarray, score: float, image_size: tuple[int, int]) -> None:
        """Write one map, atomically.

        Args:
            name: Name of the image.
            raw: (h, w) float32 raw map, finite, >= 0.
            score: The teacher's image score.
            image_size: (height, width) of the stored image.

        Raises:
            ValueError: If the map is not two-dimensional, not finite or negative somewhere.
        """
        fault = fault_of(raw)
        if fault:
            raise ValueError(f'the map of {name} is {fault}; a teacher gives finite (h, w) maps, >= 0')
        levels = np.rint(self.calibration.apply(raw).astype(np.float64) * _STEPS).astype(np.uint16)
        facts = {'height': image_size[0], 'width': image_size[1], 'score': float(score), 'peak': float(raw.max())}
        text = PngImagePlugin.PngInfo()
        text.add_text(_TEXT_KEY, json.dumps(facts))
        path = self.map_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as file:
            Image.fromarray(levels).save(file, format='PNG', pnginfo=text, compress_level=1)


def fault_of(raw: np.ndarray) -> str | None:
    """What is wrong with a raw map; None for a sound one."""
    if raw.ndim != 2 or not raw.size:
        return f'not two-dimensional (shape {raw.shape})'
    if not np.isfinite(raw).all():
        return 'not finite everywhere'
    return 'negative somewhere' if raw.min() < 0 else None


def read_map(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """Read one map file of a store.

    Returns:
        (h, w) uint16 levels and the facts written with them: height, width, score, peak.

    Raises:
        KeyError: If there is no such file.
        ValueError: If the file is damaged or was not written by a map store.
    """
    try:
        with Image.open(path) as image:
            levels = np.asarray(image)
            facts = json.loads(getattr(image, 'text', {})[_TEXT_KEY])
    except FileNotFoundError:
        raise KeyError(f'no anomaly map at {path}: the image has none in this store; '
                       'generate it with tools/generate_maps.py') from None
    except (OSError, SyntaxError, KeyError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f'{path} is not a map of a map store, or is damaged ({type(error).__name__}: {error}); '
                         'delete it and run tools/generate_maps.py again') from error
    if levels.ndim != 2 or levels.dtype != np.uint16:
        raise ValueError(f'{path}: a map is 16-bit grey, got {levels.dtype} of shape {levels.shape}; '
                         'delete it and run tools/generate_maps.py again')
    return levels, facts


def to_calibrated(levels: np.ndarray) -> np.ndarray:
    """Stored uint16 levels to calibrated float32 in [0, 1]."""
    return levels.astype(np.float32) / np.float32(_STEPS)
