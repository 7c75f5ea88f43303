"""Before the first map: refuse a store of something else, fit the teacher, fit the calibration, write ``maps.json``."""
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import barrier, get_rank

from ..files import TEMPORARY_PREFIX, write_atomically
from ..images import ImageList
from ..teachers.base import Teacher
from ..teachers.calibrate import Calibration
from ..version import __version__
from .plan import PlannedImage, ReadableImages, make_plan, sample_plan
from .store import FORMAT, META_NAME, TEACHER_NAME, MapStore

#: Most images that a teacher is fitted on: more would only cost time, and 120,000 images must stay possible.
FIT_IMAGES = 20_000
#: Most images that the calibration is fitted on, and values taken from the map of each.
CALIBRATION_IMAGES, CALIBRATION_VALUES = 2000, 4096
_IDENTITY = ('teacher', 'images', 'batch_size', 'seed', 'value_range')


def prepare_store(images: ImageList, teacher: Teacher, store_path: Path, batch_size: int, seed: int,
                  value_range: tuple[float, float] | None) -> None:
    """Make a new store ready for its maps, or check that an existing one belongs to this run; all ranks call it.

    Afterwards the teacher of every rank holds the fitted state of the store.

    Raises:
        ValueError: If the store was made from other images, by another teacher or with other settings.
    """
    identity = _identity(images, teacher, batch_size, seed, value_range)
    if (store_path / META_NAME).is_file():
        _check_identity(MapStore.open(store_path, partial=True), identity)
    if get_rank() == 0:
        for leftover in store_path.rglob(f'{TEMPORARY_PREFIX}*'):  # of a killed run; nobody writes yet
            leftover.unlink()
    barrier()  # nobody may look for maps.json after rank 0 has written a new one
    if not (store_path / META_NAME).is_file():
        if get_rank() == 0:
            _start_store(images, teacher, store_path, identity, value_range)
        barrier()
    teacher.load_state_dict(torch.load(store_path / TEACHER_NAME, map_location='cpu', weights_only=True))


def _identity(images: ImageList, teacher: Teacher, batch_size: int, seed: int,
              value_range: tuple[float, float] | None) -> dict[str, Any]:
    made_by = {'type': type(teacher).__name__, 'version': teacher.version, 'settings': teacher.settings}
    listed = {'number': len(images), 'sources': list(images.sources), 'fingerprint': images.fingerprint()}
    identity = {'teacher': made_by, 'images': listed, 'batch_size': batch_size, 'seed': seed,
                'value_range': value_range}
    return json.loads(json.dumps(identity))  # tuples become lists, as they will be when read back


def _check_identity(store: MapStore, identity: dict[str, Any]) -> None:
    for name in _IDENTITY:
        found = store.meta.get(name)
        if found != identity[name]:
            raise ValueError(f'the map store {store.path} was made with another {name}:\n  in the store: {found}\n'
                             f'  now given:    {identity[name]}\nGive another folder for the store, or delete it')


def _start_store(images: ImageList, teacher: Teacher, store_path: Path, identity: dict[str, Any],
                 value_range: tuple[float, float] | None) -> None:
    store_path.mkdir(parents=True, exist_ok=True)
    plan = make_plan(images, store_path, identity['seed'])
    to_fit = sample_plan(plan, FIT_IMAGES, identity['seed'])
    teacher.fit(ReadableImages(images.root, to_fit, value_range, 'fitting the teacher'))
    calibration = _calibrate(images, teacher, plan, identity, value_range)
    with write_atomically(store_path / TEACHER_NAME) as file:
        torch.save(teacher.state_dict(), file)
    meta = {'format': FORMAT, 'agssp_mm': __version__, 'complete': False, **identity,
            'calibration': calibration.to_dict(), 'statistics': {}, 'skipped': {}}
    write_meta(store_path, meta)


def write_meta(store_path: Path, meta: dict[str, Any]) -> None:
    """Write ``maps.json``, atomically."""
    with write_atomically(store_path / META_NAME) as file:
        file.write((json.dumps(meta, indent=1, sort_keys=True) + '\n').encode())


def _calibrate(images: ImageList, teacher: Teacher, plan: list[PlannedImage], identity: dict[str, Any],
               value_range: tuple[float, float] | None) -> Calibration:
    if teacher.calibration_scale is not None:
        return Calibration('linear', teacher.calibration_scale)
    sample = sample_plan(plan, CALIBRATION_IMAGES, identity['seed'])
    readable = ReadableImages(images.root, sample, value_range, 'calibrating')
    values: list[np.ndarray] = []
    batch: list[np.ndarray] = []
    for image in readable:
        batch.append(image)
        if len(batch) == identity['batch_size']:
            values += [_spread(raw) for raw in teacher.predict(batch).maps]
            batch = []
    if batch:
        values += [_spread(raw) for raw in teacher.predict(batch).maps]
    if not values:
        raise ValueError(f'none of the {len(readable)} images of the calibration sample below {images.root} '
                         'can be read; give a folder of PNG, JPEG, BMP, TIFF or WebP images')
    logging.getLogger(__name__).info('calibrated on %d images', len(values))
    return Calibration.fit(np.concatenate(values))


def _spread(raw: np.ndarray) -> np.ndarray:
    """At most CALIBRATION_VALUES finite values, evenly spread over the map."""
    flat = raw[np.isfinite(raw)]
    step = max(1, -(-flat.size // CALIBRATION_VALUES))
    return flat[::step]
