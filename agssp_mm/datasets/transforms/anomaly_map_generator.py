"""The transform that lays an image's anomaly map beside it."""
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.registry import TASK_UTILS, TRANSFORMS

from ...images import read_image
from ...maps.plan import PlannedImage
from ...maps.store import TEACHER_NAME, MapStore, read_map, to_calibrated
from ...maps.store_images import StoreImages
from ...teachers.asking import ask
from ...teachers.base import Teacher


@TRANSFORMS.register_module()
class AnomalyMapGenerator(BaseTransform):
    """Add the anomaly map of an image, at the image's size, so that geometric transforms move both alike.

    Stands right after the loading of the image. mmcv's and most of mmdet's geometric transforms carry
    ``gt_seg_map`` along; those that do not (Mosaic, MixUp, RandomAffine, ...) must stay out of the pipeline.

    Required Keys:

    - img_path
    - img (np.uint8, (H, W, 3) BGR)

    Added Keys:

    - gt_seg_map (np.float32, (H, W), calibrated anomaly values in [0, 1])

    Args:
        store: Folder of the map store.
        image_root: Folder that the image names of the store are relative to.
        missing: What to do about an image without a map: ``'error'``, or ``'generate'`` to make it with the teacher
            of the store, on the CPU, and save it; deep images are read anew, scaled as the store says.
    """

    def __init__(self, store: str, image_root: str, missing: str = 'error'):
        if missing not in ('error', 'generate'):
            raise ValueError(f'missing must be "error" or "generate", got {missing!r}')
        self.store_path, self.image_root, self.missing = store, image_root, missing
        self.store = MapStore.open(store, partial=missing == 'generate')
        self.images = StoreImages(self.store, image_root)

    @cached_property
    def teacher(self) -> Teacher:
        """The teacher of the store with its fitted state; built when the first map is missing."""
        made_by = self.store.meta['teacher']
        teacher = TASK_UTILS.build(dict(type=made_by['type'], **made_by['settings']))
        if teacher.version != made_by['version']:
            raise ValueError(f'the maps of {self.store_path} come from version {made_by["version"]} of '
                             f'{made_by["type"]}, installed is version {teacher.version}; generate the store again')
        state = torch.load(self.store.path / TEACHER_NAME, map_location='cpu', weights_only=True)
        teacher.load_state_dict(state)
        return teacher

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``gt_seg_map``.

        Raises:
            KeyError: If the image has no map and ``missing`` is ``'error'``.
            ValueError: If the image does not lie below ``image_root``, or has another size than when its map was made.
        """
        name = self.images.name_of(results['img_path'])
        height, width = results['img'].shape[:2]
        path = self.store.map_path(name)
        if self.missing == 'generate' and not path.is_file():
            self._generate(name, results)
        levels, facts = read_map(path)
        if (facts['height'], facts['width']) != (height, width):
            raise ValueError(f'{name} has {height}x{width} pixels (height x width), but its map was made from '
                             f'{facts["height"]}x{facts["width"]}: load the map before any resize or crop; if the '
                             'image was replaced, generate the store again')
        resized = cv2.resize(to_calibrated(levels), (width, height), interpolation=cv2.INTER_LINEAR)
        results['gt_seg_map'] = np.clip(resized, 0.0, 1.0)
        return results

    def _generate(self, name: str, results: dict[str, Any]) -> None:
        image, path = results['img'], results['img_path']
        value_range = self.images.value_range_of(path)
        if value_range is not None or image.dtype != np.uint8:
            # Whatever loaded it for training, the teacher sees the grey values it was fitted on.
            image = read_image(path, value_range)
        source = self.store.source_of(name) if self.teacher.uses_sources else ''
        maps, scores = ask(self.teacher, [image], [PlannedImage('', name, source)])
        self.store.write(name, maps[0], scores[0], image.shape[:2])

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(store={self.store_path!r}, image_root={self.image_root!r}, '
                f'missing={self.missing!r})')
