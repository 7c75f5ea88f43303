"""A frozen-feature teacher: what lies off the subspace of the usual patches."""
from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np
import torch
from mmengine.registry import TASK_UTILS

from .feature_statistics import FeatureStatistics, Subspace, subspace_of
from .feature_teacher import FeatureTeacher, flat

_HELD = 64 * 2 ** 20  # bytes of features that the first subspace is learned from: some 200 images of 512 pixels


@TASK_UTILS.register_module()
class SubspaceTeacher(FeatureTeacher):
    """Scores patches by their distance from a linear subspace of frozen features.

    The residual of a principal component analysis of patch features, in units of its usual spread, as in the Gaussian
    view of PaDiM (https://arxiv.org/abs/2011.08785). Fitted on unlabelled images of which many may be defective: the
    first images, as many as fit into 64 MiB of features, tell a first subspace; the final one is learned from the
    patches of all images that are not among the least usual of their image by that first one. Mean and covariance are
    streamed, so the memory does not depend on the number of images, and each image is looked at once.

    Args:
        *args, **settings: Of :class:`agssp_mm.teachers.feature_teacher.FeatureTeacher`.
        explained: Share of the variance inside the subspace, in [0, 1).
        trim: Share of the patches of each image that are left out, the least usual, in [0, 1). Normal images are not
            trimmed.

    Raises:
        ValueError: If a setting is out of range.
    """

    version = 3
    default_levels, default_long_side = (3, ), 512

    def __init__(self, *args: Any, explained: float = 0.9, trim: float = 0.1, **settings: Any) -> None:
        for name, share in dict(explained=explained, trim=trim).items():
            if not 0 <= share < 1:
                raise ValueError(f'{name} must lie in [0, 1), got {share}')
        super().__init__(*args, **settings)
        self._settings |= dict(explained=explained, trim=trim)
        self._subspace: Subspace | None = None

    @property
    def is_fitted(self) -> bool:
        return self._subspace is not None

    def fit(self, images: Iterable[np.ndarray]) -> None:
        """Learn the subspace of the usual patches.

        Args:
            images: (H, W, 3) uint8 BGR arrays of any size; iterated once.

        Raises:
            ValueError: If there is no image, or all patches are alike.
        """
        stream = map(flat, self._stream(images))
        trims = self._settings['trim'] and self._normals is None
        statistics, held = FeatureStatistics(), []
        for vectors in stream:
            statistics.add(vectors)
            if trims:
                held.append(vectors)
                if sum(one.nbytes for one in held) >= _HELD:
                    break
        if trims and held:
            statistics = self._trimmed(chain(held, stream), self._solved(statistics))
        self._subspace = self._solved(statistics)

    def _trimmed(self, stream: Iterable[np.ndarray], known: Subspace) -> FeatureStatistics:
        statistics = FeatureStatistics()
        for vectors in stream:
            residuals = known.residuals(vectors)
            statistics.add(vectors[residuals <= np.quantile(residuals, 1 - self._settings['trim'])])
        return statistics

    def _solved(self, statistics: FeatureStatistics) -> Subspace:
        if not statistics.count or not statistics.scatter.any():
            raise ValueError('SubspaceTeacher.fit needs images whose patches differ; '
                             f'{statistics.count} patches were seen')
        return subspace_of(statistics, self._settings['explained'])

    def score(self, features: np.ndarray) -> np.ndarray:
        self._check_channels(len(self._subspace.mean), features)
        return self._subspace.residuals(flat(features)).reshape(features.shape[:2]).astype(np.float32)

    def state_dict(self) -> dict[str, torch.Tensor]:
        if self._subspace is None:
            return {}
        return {name: torch.from_numpy(value.copy()) for name, value in self._subspace._asdict().items()}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what :meth:`fit` learned; an empty state makes the teacher an unfitted one.

        Raises:
            ValueError: If tensors are missing, unknown, not finite, or do not fit each other.
        """
        if not state:
            self._subspace = None
            return
        shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
        channels = shapes.get('mean', (0, ))[0]
        fits = (set(shapes) == set(Subspace._fields) and shapes['scale'] == (channels, )
                and len(shapes['rest']) == 2 and shapes['rest'][0] == channels)
        if not fits or not all(torch.isfinite(tensor).all() for tensor in state.values()):
            raise ValueError(f'SubspaceTeacher needs finite tensors mean (C,), scale (C,) and rest (C, R), but the '
                             f'state holds {shapes}; use the state of a SubspaceTeacher')
        self._subspace = Subspace(**{name: state[name].cpu().double().numpy().copy() for name in Subspace._fields})
