"""A frozen-feature teacher: how far the nearest remembered patch is."""
from collections.abc import Iterable
from typing import Any, Self

import cv2
import numpy as np
import torch
from mmengine.registry import TASK_UTILS

from .feature_teacher import FeatureTeacher, flat
from .nearest import Bank, coreset
from .patch_sample import PatchSample

_POOL = 4  # patches of the random sample for each one of the coreset


@TASK_UTILS.register_module()
class PatchMemoryTeacher(FeatureTeacher):
    """Scores patches by their distance from the nearest of a bounded memory of patches.

    PatchCore (https://arxiv.org/abs/2106.08265) and, with DINOv2 features and a few normal images, AnomalyDINO
    (https://arxiv.org/abs/2405.14529). Best with ``normals``: fitted on unlabelled images, defects that recur remember
    themselves. The memory is a coreset of a uniform sample of all patches, so neither grows with the images. Images
    are squashed to squares and zeros around the frame count in the averages, by default: patches of parts of several
    aspect ratios are then as fine, and those along the frame are compared with each other.

    Args:
        *args, **settings: Of :class:`agssp_mm.teachers.feature_teacher.FeatureTeacher`.
        bank_size: Most patches in the memory.
        selection: ``'greedy'`` for the patches that cover the others best, ``'random'`` for a uniform sample.
        neighbours: How many nearest patches the distance is averaged over.
        blur: Standard deviation of the Gaussian that smooths the maps, in patches; 0 = none.

    Raises:
        ValueError: If a setting is out of range.
    """

    version = 2
    default_squash = default_count_border = True

    def __init__(self, *args: Any, bank_size: int = 10_000, selection: str = 'greedy', neighbours: int = 1,
                 blur: float = 0.5, **settings: Any) -> None:
        if not 1 <= neighbours <= bank_size <= 1_000_000:
            raise ValueError('bank_size must lie in [1, 1,000,000] and neighbours in [1, bank_size], got '
                             f'bank_size={bank_size}, neighbours={neighbours}')
        if selection not in ('greedy', 'random'):
            raise ValueError(f"selection must be 'greedy' or 'random', got {selection!r}")
        if not 0 <= blur <= 16:
            raise ValueError(f'blur must lie in [0, 16] patches, got {blur}')
        super().__init__(*args, **settings)
        self._settings |= dict(bank_size=bank_size, selection=selection, neighbours=neighbours, blur=blur)
        self._bank: Bank | None = None
        self._device = torch.device('cpu')

    @property
    def is_fitted(self) -> bool:
        return self._bank is not None

    def to(self, device: str | torch.device) -> Self:
        self._device = torch.device(device)
        self._bank = self._bank and self._bank.to(self._device)
        return super().to(device)

    def fit(self, images: Iterable[np.ndarray]) -> None:
        """Remember patches.

        Args:
            images: (H, W, 3) uint8 BGR arrays of any size; iterated once.

        Raises:
            ValueError: If there is no image.
        """
        size, greedy = self._settings['bank_size'], self._settings['selection'] == 'greedy'
        sample = PatchSample(size * (_POOL if greedy else 1), self._seed)
        for features in self._stream(images):
            sample.add(flat(features))
        vectors = sample.vectors()
        if not len(vectors):
            raise ValueError('PatchMemoryTeacher.fit needs at least one image')
        self._bank = Bank(torch.from_numpy(coreset(vectors, size, self._seed))).to(self._device)

    def score(self, features: np.ndarray) -> np.ndarray:
        self._check_channels(self._bank.vectors.shape[1], features)
        queries = torch.from_numpy(flat(features)).to(self._device)
        distances = self._bank.distances(queries, self._settings['neighbours']).cpu().numpy()
        anomaly_map, sigma = distances.reshape(features.shape[:2]), self._settings['blur']
        if not sigma:
            return anomaly_map
        return cv2.GaussianBlur(anomaly_map, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {} if self._bank is None else dict(bank=self._bank.vectors.cpu().clone())

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what :meth:`fit` learned; an empty state makes the teacher an unfitted one.

        Raises:
            ValueError: If the state is not one finite tensor bank (N, C) with at most ``bank_size`` patches.
        """
        if not state:
            self._bank = None
            return
        shapes, size = {name: tuple(tensor.shape) for name, tensor in state.items()}, self._settings['bank_size']
        shape = shapes.get('bank', ())
        fits = set(state) == {'bank'} and len(shape) == 2 and 1 <= shape[0] <= size
        if not fits or not torch.isfinite(state['bank']).all():
            raise ValueError(f'PatchMemoryTeacher with bank_size={size} needs one finite tensor bank (N, C), N from 1 '
                             f'to {size}, but the state holds {shapes}; use the state of a teacher of these settings')
        self._bank = Bank(state['bank']).to(self._device)
