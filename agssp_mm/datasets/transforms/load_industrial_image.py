"""The transform that reads 8-bit and deeper images the way the anomaly maps were made from them."""
import logging
from functools import cached_property
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.fileio import get
from mmengine.logging import print_log
from mmengine.registry import TRANSFORMS

from ...images import UnreadableImageError, ValueRange, decode_image
from ...images.scaling import check_value_range
from ...maps.store import MapStore
from ...maps.store_images import StoreImages


@TRANSFORMS.register_module()
class LoadIndustrialImage(BaseTransform):
    """Read grey or colour images of 8 or more bits; stands where ``LoadImageFromFile`` stands, in any pipeline.

    The loader is that of the map generation, so a detector sees the grey values that the teacher saw. Deep images are
    scaled to 8 bits by one fixed range: given, or taken from a map store, or the full range of their type.

    Required Keys:

    - img_path

    Added Keys:

    - img (np.uint8 or np.float32, (H, W, 3) BGR, in [0, 255])
    - img_shape, ori_shape ((H, W))

    Args:
        value_range: Grey values (low, high) of deep images that become 0 and 255.
        store: Folder of a map store, finished or not: the range that it recorded is used.
        image_root: Folder that the image names of the store are relative to; needed if its sources differ in range.
        to_float32: Give float32 instead of uint8.
        skip_corrupt: In training, pass over a damaged image, say so once, and let the data set draw another one;
            testing stops at it, as an evaluation may not lose images. ``False`` raises.
        backend_args: As of :func:`mmengine.fileio.get`.

    Raises:
        ValueError: If both a range and a store are given, or image_root is missing.
    """

    def __init__(self, value_range: ValueRange | None = None, store: str | None = None, image_root: str | None = None,
                 to_float32: bool = False, skip_corrupt: bool = True, backend_args: dict | None = None):
        if value_range is not None and store is not None:
            raise ValueError(f'value_range={tuple(value_range)} and store={store!r} were both given; the range comes '
                             'from one of them')
        self.value_range = None if value_range is None else check_value_range(value_range)
        self.store, self.image_root, self.to_float32 = store, image_root, to_float32
        self.skip_corrupt, self.backend_args = skip_corrupt, backend_args
        self._reported: set[str] = set()
        if store is not None:
            _ = self._store_images  # a wrong store or a missing root stops before the first image

    @cached_property
    def _store_images(self) -> StoreImages:
        return StoreImages(MapStore.open(str(self.store), partial=True), self.image_root)

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Add the image; ``None``, which makes the data set draw another one, if it is damaged.

        Raises:
            FileNotFoundError: If there is no such file: more likely a wrong folder than one bad image.
            UnreadableImageError: If the image is damaged and ``skip_corrupt`` is off.
        """
        path = results['img_path']
        value_range = self._store_images.value_range_of(path) if self.store is not None else self.value_range
        try:
            image = decode_image(get(path, backend_args=self.backend_args), path, value_range)
        except UnreadableImageError as error:
            if not self.skip_corrupt:
                raise
            self._report(path, error)
            return None
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def _report(self, path: str, error: UnreadableImageError) -> None:
        if path not in self._reported:
            self._reported.add(path)
            print_log(f'left out, {len(self._reported)} so far: {error}', logger='current', level=logging.WARNING)

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(value_range={self.value_range}, store={self.store!r}, '
                f'image_root={self.image_root!r}, to_float32={self.to_float32}, skip_corrupt={self.skip_corrupt}, '
                f'backend_args={self.backend_args})')
