"""What the teachers over frozen patch features have in common."""
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch

from .base import AnomalyMaps, Teacher
from .normal_images import NormalImages, Normals, as_setting, check_number, pick_normals, to_learn_from
from .patch_features import DEFAULT_BACKBONE, PatchFeatures

_TOP_SHARE = 0.01  # of the patches, whose mean is the image's score
_AT_ONCE = 8  # images whose features are held during a fit


class FeatureTeacher(Teacher):
    """Scores the patches of an image by their frozen features; what is usual is learned by :meth:`fit`.

    Args:
        backbone: ``'LIBRARY::NAME'``, its mapping or a config, see :func:`agssp_mm.teachers.backbones.check_backbone`;
            default: EfficientNet-Lite0 with ImageNet weights from a pip package.
        levels: Numbers of the backbone's levels, or names of its modules; the default depends on the teacher.
        long_side: Images are resized to this longer side, in pixels; the default depends on the teacher.
        mean, std: Of the backbone's RGB inputs; default: the backbone's own.
        squash, count_border: See :class:`agssp_mm.teachers.patch_features.PatchFeatures`; the default depends on the
            teacher.
        normals: Images free of defects to learn from, in place of those that :meth:`fit` is given: a folder, a list
            file, or a list of files.
        num_normals: How many of them to use; default all.
        seed: Chooses them, and whatever else is chosen at random.
        value_range: Grey values of deep normal images that become 0 and 255.

    Raises:
        FileNotFoundError: If a normal image does not exist.
        ValueError: If a setting is out of range, or there are fewer normal images than asked.
    """

    needs_fit = True
    default_levels: ClassVar[tuple[int, ...]] = (1, 2)
    default_long_side: ClassVar[int] = 256
    default_squash: ClassVar[bool] = False
    default_count_border: ClassVar[bool] = False
    #: Patches along a side of the averages that features are taken as.
    neighbourhood: ClassVar[int] = 3

    def __init__(self, backbone: str | Mapping[str, Any] | None = None, levels: Sequence[int | str] | None = None,
                 long_side: int | None = None, mean: Sequence[float] | None = None,
                 std: Sequence[float] | None = None, *, squash: bool | None = None, count_border: bool | None = None,
                 normals: Normals | None = None, num_normals: int | None = None, seed: int = 0,
                 value_range: tuple[float, float] | None = None) -> None:
        check_number(num_normals, normals)
        if backbone is not None and levels is None:
            raise ValueError('a backbone of your own needs levels: numbers of its levels, or names of its modules')
        self._features = PatchFeatures(backbone or DEFAULT_BACKBONE, self.default_levels if levels is None else levels,
                                       self.default_long_side if long_side is None else long_side, mean, std,
                                       squash=self.default_squash if squash is None else squash,
                                       count_border=self.default_count_border if count_border is None else count_border,
                                       neighbourhood=self.neighbourhood)
        self._seed = int(seed)
        self._normals = None if normals is None else NormalImages(
            pick_normals(normals, num_normals, self._seed), value_range)
        self._settings = dict(**self._features.settings, normals=as_setting(normals), num_normals=num_normals,
                              seed=self._seed, value_range=value_range and list(value_range))

    @property
    def settings(self) -> dict[str, Any]:
        return self._settings

    @property
    def source_files(self) -> Sequence[Path]:
        return *self._features.weight_files, *(self._normals.paths if self._normals else ())

    def to(self, device: str | torch.device) -> Self:
        self._features.to(device)
        return self

    def predict(self, images: Sequence[np.ndarray]) -> AnomalyMaps:
        """Score one batch.

        Args:
            images: (H, W, 3) uint8 BGR arrays; sizes may differ within the batch.

        Raises:
            ValueError: If the teacher was not fitted, or the features are not finite.
        """
        if not self.is_fitted:
            raise ValueError(f'{type(self).__name__} must be fitted before it predicts: call fit, or load a fitted '
                             'state')
        maps = [self.score(features) for features in self._features.of_batch(images)]
        return AnomalyMaps(maps, np.array([top_mean(anomaly_map) for anomaly_map in maps], dtype=np.float32))

    @property
    @abstractmethod
    def is_fitted(self) -> bool:
        """Whether there is something to compare with."""

    @abstractmethod
    def score(self, features: np.ndarray) -> np.ndarray:
        """(h, w, C) float32 features of one image -> its (h, w) float32 raw map."""

    def _stream(self, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """(h, w, C) features of the images to learn from, one by one."""
        batch: list[np.ndarray] = []
        for image in to_learn_from(images, self._normals):
            batch.append(image)
            if len(batch) == _AT_ONCE:
                yield from self._features.of_batch(batch)
                batch = []
        if batch:
            yield from self._features.of_batch(batch)

    def _check_channels(self, expected: int, features: np.ndarray) -> None:
        if features.shape[-1] != expected:
            raise ValueError(f'{type(self).__name__} was fitted on features of {expected} channels, but the backbone '
                             f'gives {features.shape[-1]}; use the state with the settings (backbone, levels) that it '
                             'was fitted with')


def flat(features: np.ndarray) -> np.ndarray:
    """(h, w, C) -> (h * w, C)."""
    return features.reshape(-1, features.shape[-1])


def top_mean(anomaly_map: np.ndarray) -> float:
    """Mean of the highest hundredth of a map: the score of its image."""
    count = max(1, round(_TOP_SHARE * anomaly_map.size))
    return float(np.partition(anomaly_map.ravel(), -count)[-count:].mean())
