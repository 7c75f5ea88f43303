"""A frozen-feature teacher: what lies off the subspace of the usual patches."""
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from mmengine.registry import TASK_UTILS

from .base import AnomalyMaps, Teacher
from .feature_statistics import FeatureStatistics, Subspace, subspace_of
from .patch_features import DEFAULT_BACKBONE, PatchFeatures

_TOP_SHARE = 0.01  # of the patches, whose mean is the image's score


@TASK_UTILS.register_module()
class SubspaceTeacher(Teacher):
    """Scores patches by their distance from a linear subspace of frozen features.

    The residual of a principal component analysis of patch features, in units of its usual spread, as in the Gaussian
    view of PaDiM (https://arxiv.org/abs/2011.08785). Fitted on unlabelled images of which many may be defective: a
    first pass learns the subspace from all patches, a second one from those that are not among the least usual of
    their image. Mean and covariance are streamed, so the memory does not depend on the number of images.

    Args:
        backbone: Config of the backbone, with its weights in ``init_cfg``; default: EfficientNet-Lite0.
        levels: Which of the backbone's outputs.
        long_side: Images are resized to this longer side, in pixels.
        mean, std: Of the backbone's RGB inputs.
        explained: Share of the variance inside the subspace, in [0, 1).
        trim: Share of the patches of each image that the second pass leaves out, in [0, 1); 0 = one pass.

    Raises:
        ValueError: If a setting is out of range.
    """

    version = 1
    needs_fit = True

    def __init__(self, backbone: Mapping[str, Any] | None = None, levels: Sequence[int] = (0, 1), long_side: int = 256,
                 mean: Sequence[float] = (127.5, 127.5, 127.5), std: Sequence[float] = (127.5, 127.5, 127.5),
                 explained: float = 0.9, trim: float = 0.1) -> None:
        for name, share in dict(explained=explained, trim=trim).items():
            if not 0 <= share < 1:
                raise ValueError(f'{name} must lie in [0, 1), got {share}')
        self._features = PatchFeatures(backbone or DEFAULT_BACKBONE, levels, long_side, mean, std)
        self._settings = dict(backbone=dict(backbone or DEFAULT_BACKBONE), levels=list(levels), long_side=long_side,
                              mean=list(mean), std=list(std), explained=explained, trim=trim)
        self._subspace: Subspace | None = None

    @property
    def settings(self) -> dict[str, Any]:
        return self._settings

    def to(self, device: str | torch.device) -> Self:
        self._features.to(device)
        return self

    def fit(self, images: Iterable[np.ndarray]) -> None:
        """Learn the subspace of the usual patches.

        Args:
            images: (H, W, 3) uint8 BGR arrays of any size; iterated once, or twice with ``trim``.

        Raises:
            ValueError: If there is no image, or all patches are alike.
        """
        found = self._fit_pass(images, None)
        self._subspace = self._fit_pass(images, found) if self._settings['trim'] else found

    def _fit_pass(self, images: Iterable[np.ndarray], known: Subspace | None) -> Subspace:
        statistics = FeatureStatistics()
        for image in images:
            vectors = _flat(self._features(image))
            if known is not None:
                residuals = known.residuals(vectors)
                vectors = vectors[residuals <= np.quantile(residuals, 1 - self._settings['trim'])]
            statistics.add(vectors)
        if not statistics.count or not statistics.scatter.any():
            raise ValueError('SubspaceTeacher.fit needs images whose patches differ; '
                             f'{statistics.count} patches were seen')
        return subspace_of(statistics, self._settings['explained'])

    def predict(self, images: Sequence[np.ndarray]) -> AnomalyMaps:
        if self._subspace is None:
            raise ValueError('SubspaceTeacher must be fitted before it predicts: call fit, or load a fitted state')
        maps = [self._map(image) for image in images]
        return AnomalyMaps(maps, np.array([_top_mean(anomaly_map) for anomaly_map in maps], dtype=np.float32))

    def _map(self, image: np.ndarray) -> np.ndarray:
        features = self._features(image)
        return self._subspace.residuals(_flat(features)).reshape(features.shape[:2]).astype(np.float32)

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


def _flat(features: np.ndarray) -> np.ndarray:
    return features.reshape(-1, features.shape[-1])


def _top_mean(anomaly_map: np.ndarray) -> float:
    count = max(1, round(_TOP_SHARE * anomaly_map.size))
    return float(np.partition(anomaly_map.ravel(), -count)[-count:].mean())
