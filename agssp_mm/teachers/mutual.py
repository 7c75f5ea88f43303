"""A frozen-feature teacher for sets without normal images: patches that few other images have."""
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.registry import TASK_UTILS
from torch import Tensor

from .feature_teacher import FeatureTeacher, flat
from .image_sample import ImageSample

_QUERY_CHUNK = 512
_TINY = 1e-6


class _Fitted(NamedTuple):
    mean: Tensor  # (C,)
    scale: Tensor  # (C,)
    references: Tensor  # (N, C), unit vectors
    sizes: Tensor  # (M,) int64, patches of each reference image; they sum to N


@TASK_UTILS.register_module()
class MutualTeacher(FeatureTeacher):
    """Scores patches by how far the nearest ones of other images are.

    MuSc (https://arxiv.org/abs/2401.16753) against a bounded random subset of the images: for each reference image the
    cosine distance of the nearest patch; of these distances, the mean over an interval of the lowest. What lies below
    the interval is left out, because the image itself and other views of the same part hide their defects. Look-alike
    defects that recur across a set hide from that; so a share of the score is how far a patch is from those of its own
    image.

    Args:
        *args, **settings: Of :class:`agssp_mm.teachers.feature_teacher.FeatureTeacher`.
        num_references: Most images to compare with.
        num_patches: Most patches of each, chosen at random.
        interval: Lowest and highest share of the sorted distances whose mean counts, in [0, 1].
        within: Share of the within-image distance in the score, in [0, 1].
        within_nearest: Share of the image's own patches, the nearest, that this distance is averaged over, in (0, 1].

    Raises:
        ValueError: If a setting is out of range.
    """

    version = 3
    default_levels, default_long_side = (3, ), 256

    def __init__(self, *args: Any, num_references: int = 96, num_patches: int = 256,
                 interval: Sequence[float] = (0.1, 0.3), within: float = 0.0, within_nearest: float = 0.3,
                 **settings: Any) -> None:
        if not (2 <= num_references <= 10_000 and 1 <= num_patches <= 100_000):
            raise ValueError('num_references must lie in [2, 10,000] and num_patches in [1, 100,000], got '
                             f'{num_references} and {num_patches}')
        if len(interval) != 2 or not 0 <= interval[0] < interval[1] <= 1:
            raise ValueError(f'interval must be (low, high) with 0 <= low < high <= 1, got {interval}')
        if not 0 <= within <= 1 or not 0 < within_nearest <= 1:
            raise ValueError('within must lie in [0, 1] and within_nearest in (0, 1], got '
                             f'{within} and {within_nearest}')
        super().__init__(*args, **settings)
        self._settings |= dict(num_references=num_references, num_patches=num_patches, interval=list(interval),
                               within=within, within_nearest=within_nearest)
        self._fitted: _Fitted | None = None
        self._device = torch.device('cpu')

    @property
    def is_fitted(self) -> bool:
        return self._fitted is not None

    def to(self, device: str | torch.device) -> Self:
        self._device = torch.device(device)
        self._fitted = self._fitted and self._on_device(self._fitted)
        return super().to(device)

    def fit(self, images: Iterable[np.ndarray]) -> None:
        """Pick the reference images, and measure the spread of each channel.

        Args:
            images: (H, W, 3) uint8 BGR arrays of any size; iterated once.

        Raises:
            ValueError: If there are fewer than two images.
        """
        sample = ImageSample(self._settings['num_references'], self._settings['num_patches'], self._seed)
        for features in self._stream(images):
            sample.add(flat(features))
        if sample.num_seen < 2:
            raise ValueError('MutualTeacher.fit compares images with each other and needs at least two, got '
                             f'{sample.num_seen}')
        mean, scale = (torch.from_numpy(values.astype(np.float32)) for values in sample.moments())
        kept, scale = sample.images(), scale.clamp_min(_TINY)
        vectors = F.normalize((torch.from_numpy(np.concatenate(kept)) - mean) / scale, dim=1)
        self._fitted = self._on_device(_Fitted(mean, scale, vectors, torch.tensor([len(one) for one in kept])))

    @torch.no_grad()
    def score(self, features: np.ndarray) -> np.ndarray:
        self._check_channels(len(self._fitted.mean), features)
        vectors = torch.from_numpy(flat(features)).to(self._device)
        vectors = F.normalize((vectors - self._fitted.mean) / self._fitted.scale, dim=1)
        scores = torch.cat([self._mutual(block) for block in vectors.split(_QUERY_CHUNK)])
        share = self._settings['within']
        if share:
            own = torch.cat([self._within(block, vectors) for block in vectors.split(_QUERY_CHUNK)])
            scores = (1 - share) * scores + share * own
        return scores.clamp_min(0).cpu().numpy().reshape(features.shape[:2])

    def _mutual(self, vectors: Tensor) -> Tensor:
        """(Q, C) unit vectors -> (Q,) mean of an interval of their distances to the reference images."""
        similar = (vectors @ self._fitted.references.T).split(self._fitted.sizes.tolist(), dim=1)
        nearest = torch.stack([1 - one.amax(1) for one in similar], 1).sort(1).values
        number = nearest.shape[1]
        low, high = (int(share * number) for share in self._settings['interval'])
        if self._normals is None and self._settings['interval'][0] > 0 and number > 1:
            low = max(low, 1)  # the image itself, also where a tenth of the references is less than one
        return nearest[:, low:max(high, low + 1)].mean(1)

    def _within(self, vectors: Tensor, own: Tensor) -> Tensor:
        count = max(1, round(self._settings['within_nearest'] * len(own)))
        return 1 - (vectors @ own.T).topk(count, dim=1).values.mean(1)

    def state_dict(self) -> dict[str, torch.Tensor]:
        if self._fitted is None:
            return {}
        return {name: tensor.cpu().clone() for name, tensor in self._fitted._asdict().items()}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what :meth:`fit` learned; an empty state makes the teacher an unfitted one.

        Raises:
            ValueError: If tensors are missing, unknown, not finite, or do not fit each other or the settings.
        """
        if not state:
            self._fitted = None
            return
        shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
        fits = set(shapes) == set(_Fitted._fields) and all(bool(torch.isfinite(one).all()) for one in state.values())
        if fits:
            channels = shapes['mean'][0] if len(shapes['mean']) == 1 else -1
            fits = (shapes['scale'] == (channels, ) and shapes['references'] == (int(state['sizes'].sum()), channels)
                    and 2 <= len(state['sizes']) <= self._settings['num_references'])
        if not fits:
            most = self._settings['num_references']
            raise ValueError(f'MutualTeacher needs finite tensors {", ".join(_Fitted._fields)} that fit each other, '
                             f'of at most num_references={most} images, but the state holds {shapes}; use the state of '
                             'a MutualTeacher of these settings')
        self._fitted = self._on_device(_Fitted(**{name: state[name].clone() for name in _Fitted._fields}))

    def _on_device(self, fitted: _Fitted) -> _Fitted:
        moved = {name: getattr(fitted, name).to(self._device) for name in ('mean', 'scale', 'references')}
        return fitted._replace(**moved)
