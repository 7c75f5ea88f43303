"""Several views of an image, each with the anomaly map that moved along with it."""
import copy
from collections.abc import Sequence
from typing import Any

from mmcv.transforms import BaseTransform, Compose
from mmengine.registry import TRANSFORMS


@TRANSFORMS.register_module()
class MultiViewWithMaps(BaseTransform):
    """Makes several views of an image, for methods such as MoCo v3, and keeps one anomaly map per view.

    MMPretrain's ``MultiView`` keeps the images only, so that nobody knows afterwards which part of the map a crop
    shows. Takes the same arguments. Stands between ``AnomalyMapGenerator`` and
    ``PackInputs(algorithm_keys=['gt_seg_map'])``; the geometric transforms of the views have to move maps too.

    Required keys: ``img``, ``gt_seg_map`` (float32, (H, W)). Modified keys: ``img`` and ``gt_seg_map`` become lists
    with one entry per view, in the order of the views; all other keys stay those of the image before.

    Args:
        transforms: Pipelines, each a list of transforms.
        num_views: How many views each of the pipelines makes; a number stands for a list of one.

    Raises:
        ValueError: If there is not one positive number of views per pipeline, or if a view loses its map or leaves
            it at another size than its image.
        KeyError: If an image comes without a map.
    """

    def __init__(self, transforms: Sequence[Sequence[dict]], num_views: int | Sequence[int]) -> None:
        counts = [num_views] if isinstance(num_views, int) else list(num_views)
        if not counts or len(counts) != len(transforms) or min(counts) < 1:
            raise ValueError(f'MultiViewWithMaps needs one positive number of views per pipeline, got '
                             f'num_views={num_views!r} for {len(transforms)} pipeline(s)')
        pipelines = [Compose(pipeline) for pipeline in transforms]
        self.views = [pipeline for pipeline, count in zip(pipelines, counts) for _ in range(count)]

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Make the views; ``None``, which makes the data set draw another image, if a view's pipeline says so."""
        if 'gt_seg_map' not in results:
            raise KeyError('MultiViewWithMaps found no gt_seg_map: put AnomalyMapGenerator right after the loading of '
                           'the image')
        views = [view(copy.deepcopy(results)) for view in self.views]
        if any(view is None for view in views):
            return None
        for number, view in enumerate(views):
            _check(view, number)
        results['img'] = [view['img'] for view in views]
        results['gt_seg_map'] = [view['gt_seg_map'] for view in views]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}({len(self.views)} views: {self.views})'


def _check(view: dict[str, Any], number: int) -> None:
    size = view['img'].shape[:2]
    found = view.get('gt_seg_map')
    if found is None or found.shape != size:
        what = 'no map' if found is None else f'a map of {found.shape[0]}x{found.shape[1]}'
        raise ValueError(f'view {number} has an image of {size[0]}x{size[1]} (height x width) but {what}: one of its '
                         "transforms forgot the map; use mmcv's and mmdet's resizes, flips and crops, which move it")
