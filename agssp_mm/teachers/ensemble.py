"""Several teachers as one: their maps are brought to one scale and combined."""
import random
from collections.abc import Iterable, Mapping, Sequence, Sized
from functools import reduce
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import torch
from mmengine.registry import TASK_UTILS

from .asking import Facts, ask, ask_for_each, described
from .base import AnomalyMaps, Teacher
from .calibrate import Calibration
from .feature_teacher import top_mean
from .naming import teacher_of

TeacherLike = Teacher | str | Mapping[str, Any]
#: Texture, a coarse look for images that differ as a whole, and a fine one within them.
DEFAULT_TEACHERS, DEFAULT_WEIGHTS = ('texture', 'mutual', 'subspace'), (2, 1, 1)
_VALUES = 4096  # taken from each map of the sample
_LIMIT = 8.0  # of the evidence of one member, in logits: an all-zero map must not outvote all others


@TASK_UTILS.register_module()
class EnsembleTeacher(Teacher):
    """Combines teachers whose scales have nothing to do with each other.

    Each member's raw values are calibrated on a seeded sample of the images (median and 99 % quantile, as of a map
    store); the combined evidence is the weighted mean of the calibrated values' logits, given out as odds.

    Args:
        teachers: At least two: short names, types, configs or teachers; or ``{name: settings}``. Default:
            :data:`DEFAULT_TEACHERS`, best on magnetic tiles (``docs/teachers.md``).
        weights: Of the members; default: equal, and :data:`DEFAULT_WEIGHTS` for the default members.
        sample_images: Images that the calibration is fitted on.
        seed: Picks these.

    Raises:
        ValueError: If there are too few members, or the weights do not fit them.
    """

    version = 2
    needs_fit = True

    def __init__(self, teachers: Sequence[TeacherLike] | Mapping[str, Mapping[str, Any]] | None = None,
                 weights: Sequence[float] | None = None, sample_images: int = 200, seed: int = 0) -> None:
        if teachers is None:
            teachers, weights = DEFAULT_TEACHERS, weights or DEFAULT_WEIGHTS
        if isinstance(teachers, Mapping):
            teachers = [dict(type=name, **settings) for name, settings in teachers.items()]
        if isinstance(teachers, str) or len(teachers) < 2:
            raise ValueError(f'an ensemble needs at least two teachers, got {teachers!r}')
        self._members = [teacher_of(given) for given in teachers]
        self.version = reduce(lambda version, member: 10_000 * version + member.version, self._members, self.version)
        weights = [1.0] * len(self._members) if weights is None else [float(weight) for weight in weights]
        if len(weights) != len(self._members) or min(weights) < 0 or not sum(weights):
            raise ValueError(f'weights={weights} must be {len(self._members)} numbers >= 0, one for each teacher, and '
                             'not all 0')
        if sample_images < 1:
            raise ValueError(f'sample_images must be at least 1, got {sample_images}')
        self._weights, self._sample_images, self._seed = weights, sample_images, int(seed)
        self._scales: list[Calibration] | None = None
        self.uses_sources = any(member.uses_sources for member in self._members)
        self.uses_names = any(member.uses_names for member in self._members)

    @property
    def settings(self) -> dict[str, Any]:
        members = [dict(type=type(member).__name__, **member.settings) for member in self._members]
        return dict(teachers=members, weights=self._weights, sample_images=self._sample_images, seed=self._seed)

    @property
    def source_files(self) -> Sequence[Path]:
        return [file for member in self._members for file in member.source_files]

    def to(self, device: str | torch.device) -> Self:
        for member in self._members:
            member.to(device)
        return self

    def check_names(self, names: Sequence[str]) -> None:
        for member in self._members:
            member.check_names(names)

    def fit(self, images: Iterable[np.ndarray]) -> None:
        """Fit every member, then their scales on a sample.

        Args:
            images: (H, W, 3) uint8 BGR arrays; iterated by each member, and once or twice more.

        Raises:
            ValueError: If no image of the sample has a map of every member.
        """
        for member in self._members:
            member.fit(images)
        number = len(images) if isinstance(images, Sized) else sum(1 for _ in images)
        chosen = set(random.Random(self._seed).sample(range(number), min(number, self._sample_images)))
        values: list[list[np.ndarray]] = [[] for _ in self._members]
        for place, (image, facts) in enumerate(described(images)):
            if place in chosen:
                answers = [ask_for_each(member, [image], [facts]) for member in self._members]
                if all(answer.places for answer in answers):
                    for kept, answer in zip(values, answers, strict=True):
                        kept.append(_spread(answer.maps[0]))
        if not values[0]:
            raise ValueError(f'EnsembleTeacher.fit: none of the {len(chosen)} images of the sample has a map of every '
                             'member')
        self._scales = [Calibration.fit(np.concatenate(kept)) for kept in values]

    def predict(self, images: Sequence[np.ndarray], sources: Sequence[str] | None = None,
                names: Sequence[str] | None = None) -> AnomalyMaps:
        """Score one batch.

        Args:
            images: (H, W, 3) uint8 BGR arrays; sizes may differ within the batch.
            sources, names: Of the images, for members that need them.

        Raises:
            ValueError: If the ensemble was not fitted.
            NoMapError: If a member has no map of an image.
        """
        if self._scales is None:
            raise ValueError('EnsembleTeacher must be fitted before it predicts: call fit, or load a fitted state')
        blank = [''] * len(images)
        facts = [Facts(*pair) for pair in zip(sources or blank, names or blank, strict=True)]
        found = [ask(member, images, facts).maps for member in self._members]
        maps = [self._combine(raws) for raws in zip(*found, strict=True)]
        return AnomalyMaps(maps, np.array([top_mean(one) for one in maps], dtype=np.float32))

    def state_dict(self) -> dict[str, torch.Tensor]:
        if self._scales is None:
            return {}
        state = {f'{number}.{name}': tensor for number, member in enumerate(self._members)
                 for name, tensor in member.state_dict().items()}
        pairs = [[scale.scale, scale.shape] for scale in self._scales]
        return dict(state, scales=torch.tensor(pairs, dtype=torch.float64))

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what :meth:`fit` learned; an empty state makes the ensemble an unfitted one.

        Raises:
            ValueError: If it is the state of other members.
        """
        known = {str(number) for number in range(len(self._members))}
        strangers = sorted(name for name in state if name != 'scales' and name.split('.')[0] not in known)
        scales = state.get('scales')
        fits = scales is not None and tuple(scales.shape) == (len(known), 2) and bool((scales > 0).all())
        if state and (strangers or not fits):
            raise ValueError(f'EnsembleTeacher of {len(known)} members needs a tensor scales ({len(known)}, 2) and the '
                             f'states of these, but the state holds {sorted(state)[:6]}; use that of the same ensemble')
        for number, member in enumerate(self._members):
            prefix = f'{number}.'
            member.load_state_dict({name.removeprefix(prefix): value for name, value in state.items()
                                    if name.startswith(prefix)})
        self._scales = [Calibration('log-logistic', *pair) for pair in scales.tolist()] if state else None

    def _combine(self, raws: Sequence[np.ndarray]) -> np.ndarray:
        size = max((raw.shape for raw in raws), key=lambda shape: shape[0] * shape[1])
        total = np.zeros(size, np.float32)
        for raw, scale, weight in zip(raws, self._scales or (), self._weights, strict=True):
            with np.errstate(divide='ignore'):
                logits = scale.shape * np.log(raw.astype(np.float64) / scale.scale)
            logits = logits.clip(-_LIMIT, _LIMIT).astype(np.float32)
            total += weight / sum(self._weights) * cv2.resize(logits, size[::-1], interpolation=cv2.INTER_LINEAR)
        return np.exp(total)


def _spread(raw: np.ndarray) -> np.ndarray:
    step = max(1, -(-raw.size // _VALUES))
    return raw.ravel()[::step]
