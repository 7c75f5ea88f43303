"""Before the first map: refuse a store of something else, fit the teacher, fit the calibration, write ``maps.json``."""
import hashlib
import json
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.dist import barrier, broadcast_object_list, get_rank
from tqdm import tqdm

from ..files import write_atomically
from ..images import ImageList, ValueRange, ValueScaling, content_key
from ..images.scaling import check_percentiles, check_value_range
from ..teachers.asking import ask_for_each
from ..teachers.base import Teacher
from ..teachers.calibrate import Calibration
from ..version import __version__
from .decoding import ImageReader, ReadableImages, decode_batches
from .plan import PlannedImage, check_content, make_plan, read_plan, sample_plan
from .scaling import measure_scaling, warn_of_dark_images
from .store import FORMAT, META_NAME, PLAN_NAME, TEACHER_NAME, MapStore

#: Most images that a teacher is fitted on: more would only cost time, and 120,000 images must stay possible.
FIT_IMAGES = 20_000
#: Most images that the calibration is fitted on, and values taken from the map of each.
CALIBRATION_IMAGES, CALIBRATION_VALUES = 2000, 4096
_MANY_FILES = 100
READABLE = 'PNG, JPEG, BMP, TIFF or WebP images are expected'
_IDENTITY = ('teacher', 'images', 'batch_size', 'seed', 'value_range', 'value_percentiles', 'fitted')


class StoreSettings(NamedTuple):
    """What maps depend on beside the images and the teacher; arguments of :func:`agssp_mm.maps.generate.generate_maps`.
    """

    batch_size: int = 8
    seed: int = 0
    value_range: ValueRange | None = None
    value_percentiles: ValueRange | None = None
    fitted: str | None = None  # digest of the state that the teacher came with

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            ValueError: With the setting, its value and what is allowed.
        """
        if self.batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, got {self.batch_size}')
        if self.value_range and self.value_percentiles:
            raise ValueError(f'value_range={self.value_range} and value_percentiles={self.value_percentiles} were both '
                             'given; grey values are scaled by a fixed range or by one that is measured')
        if self.value_range:
            check_value_range(self.value_range)
        if self.value_percentiles:
            check_percentiles(self.value_percentiles)


def check_place(images: ImageList, store_path: Path) -> None:
    """Refuse a store where none can be.

    Raises:
        ValueError: If it is a file, the folder of the images, or a folder inside that holds some of them.
    """
    if store_path.exists() and not store_path.is_dir():
        raise ValueError(f'the map store {store_path} is a file; give the path of a folder, new or of a started store')
    if store_path.resolve() == images.root.resolve():
        raise ValueError(f'the map store {store_path} is the folder of the images; give a folder of its own')
    inside = os.path.relpath(store_path.resolve(), images.root.resolve()) + '/'
    if own := next((entry.name for entry in images if entry.name.startswith(inside)), None):
        raise ValueError(f'the map store {store_path} is a folder of images, e.g. {own}, and no listing would enter it '
                         'any more; give a folder of its own')


def prepare_store(images: ImageList, teacher: Teacher, store_path: Path, settings: StoreSettings) -> None:
    """Make a new store ready for its maps, or check that an existing one belongs to this run; all ranks call it.

    Afterwards the teacher of every rank holds the fitted state of the store.

    Raises:
        ValueError: If the store was made from other images, by another teacher or with other settings.
    """
    identity = _identity(images, teacher, settings)
    is_there = (store_path / META_NAME).is_file()
    if is_there:
        _check_identity(MapStore.open(store_path, partial=True), identity)
        plan = read_plan(store_path / PLAN_NAME)
        check_content([(one.key, images.root / one.name) for one in plan], settings.seed, store_path)
    barrier()  # all have looked before rank 0 writes a new one, and none looks again: it would miss a barrier
    if not is_there:
        if get_rank() == 0:
            _start_store(images, teacher, store_path, settings, identity)
        barrier()
    teacher.load_state_dict(torch.load(store_path / TEACHER_NAME, map_location='cpu', weights_only=True))


def _identity(images: ImageList, teacher: Teacher, settings: StoreSettings) -> dict[str, Any]:
    made_by = {'type': type(teacher).__name__, 'version': teacher.version, 'settings': teacher.settings}
    if files := _digest(teacher.source_files):
        made_by['files'] = files
    listed = {'number': len(images), 'sources': list(images.sources), 'fingerprint': images.fingerprint()}
    identity = {'teacher': made_by, 'images': listed, **settings._asdict()}
    return json.loads(json.dumps(identity))  # tuples become lists, as they will be when read back


def _digest(files: Sequence[Path]) -> str | None:
    """Of their paths and content; None without any. One rank reads for all."""
    if not files:
        return None
    found: list[str | None] = [None]
    if get_rank() == 0:
        digest = hashlib.sha256()
        with ThreadPoolExecutor(8) as pool:
            keys = tqdm(pool.map(content_key, files), 'files of the teacher', len(files), unit='file',
                        disable=len(files) < _MANY_FILES or None)
            for path, key in zip(files, keys, strict=True):
                digest.update(os.fsencode(path) + f' {key}\n'.encode())
        found[0] = digest.hexdigest()
    broadcast_object_list(found)
    return found[0]


def _check_identity(store: MapStore, identity: dict[str, Any]) -> None:
    for name in _IDENTITY:
        found, wanted = store.meta.get(name), identity[name]
        if name == 'teacher' and isinstance(found, dict) and 'files' not in found:
            wanted = {key: value for key, value in wanted.items() if key != 'files'}  # older stores do not say
        if found != wanted:
            raise ValueError(f'the map store {store.path} was made with another {name}:\n  in the store: {found}\n'
                             f'  now given:    {identity[name]}\nGive another folder for the store, or delete it')


def _start_store(images: ImageList, teacher: Teacher, store_path: Path, settings: StoreSettings,
                 identity: dict[str, Any]) -> None:
    plan = make_plan(images, store_path, settings.seed)
    scaling = _scaling(images.root, plan, settings)
    reader = ImageReader(images.root, scaling)
    if settings.fitted is None:
        to_fit = sample_plan(plan, FIT_IMAGES, settings.seed)
        readable = ReadableImages(to_fit, reader, 'fitting the teacher')
        try:
            teacher.fit(readable)
        except ValueError as error:
            # A teacher that was given no image can only say that it had none.
            _check_any_readable(readable, images.root, error)
            raise
    calibration = _calibrate(teacher, plan, reader, settings)
    with write_atomically(store_path / TEACHER_NAME) as file:
        torch.save(teacher.state_dict(), file)
    meta = {'format': FORMAT, 'agssp_mm': __version__, 'complete': False, **identity,
            'value_ranges': scaling.of_sources, 'calibration': calibration.to_dict(), 'statistics': {}, 'skipped': {}}
    write_meta(store_path, meta)


def _check_any_readable(images: ReadableImages, root: Path, cause: ValueError) -> None:
    if images.first_fault and not images.num_read:
        raise ValueError(f'none of the {len(images)} images below {root} that the teacher was to be fitted on can be '
                         f'read; {READABLE}. {images.first_fault}') from cause


def _scaling(root: Path, plan: list[PlannedImage], settings: StoreSettings) -> ValueScaling:
    if settings.value_percentiles:
        return measure_scaling(root, plan, settings.value_percentiles, settings.seed)
    if not settings.value_range:
        warn_of_dark_images(root, plan, settings.seed)
    return ValueScaling(settings.value_range)


def write_meta(store_path: Path, meta: dict[str, Any]) -> None:
    """Write ``maps.json``, atomically."""
    with write_atomically(store_path / META_NAME) as file:
        file.write((json.dumps(meta, indent=1, sort_keys=True) + '\n').encode())


def _calibrate(teacher: Teacher, plan: list[PlannedImage], reader: ImageReader,
               settings: StoreSettings) -> Calibration:
    if teacher.calibration_scale is not None:
        return Calibration('linear', teacher.calibration_scale)
    sample = sample_plan(plan, CALIBRATION_IMAGES, settings.seed)
    batches = [sample[start:start + settings.batch_size] for start in range(0, len(sample), settings.batch_size)]
    values: list[np.ndarray] = []
    reasons: dict[str, str] = {}
    with tqdm(total=len(sample), desc='calibrating', unit='image', disable=None) as progress:
        for batch in decode_batches(batches, reader):
            answer = ask_for_each(teacher, batch.images, batch.planned)
            values += [_spread(raw) for raw in answer.maps]
            reasons |= batch.skipped | {batch.planned[place].name: why for place, why in answer.refused.items()}
            progress.update(batch.number)
    if not values:
        name, reason = min(reasons.items())
        raise ValueError(f'none of the {len(sample)} images of the calibration sample below {reader.root} '
                         f'can be read and has a map; {READABLE}. '
                         f'{name}: {reason}')
    logging.getLogger(__name__).info('calibrated on %d images', len(values))
    return Calibration.fit(np.concatenate(values))


def _spread(raw: np.ndarray) -> np.ndarray:
    """At most CALIBRATION_VALUES finite values, evenly spread over the map."""
    flat = raw[np.isfinite(raw)]
    step = max(1, -(-flat.size // CALIBRATION_VALUES))
    return flat[::step]
