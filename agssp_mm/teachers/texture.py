"""The default teacher: what is unusual among the local textures of an image set, without learned weights."""
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.registry import TASK_UTILS

from .base import AnomalyMaps, Teacher
from .normal_images import NormalImages, Normals, as_setting, check_number, pick_normals, to_learn_from
from .texture_features import NUM_FEATURES, texture_features, to_working_grey
from .texture_statistics import NUM_ZONES, TextureStatistics, UsualTexture, usual_texture_of

_STRIDE = 2  # working pixels per map cell: a pit of 10 pixels must survive
# Widths in cells over which evidence is pooled, and gains that make up for the smaller spread of wide means.
_EVIDENCE_SCALES = ((1.5, 1.0), (4.0, 1.15), (8.0, 1.3))
_TOP_QUANTILE = 0.999
_SHAPES = dict(centre=(NUM_FEATURES,), adaptation=(NUM_FEATURES, NUM_FEATURES),
               zone_means=(NUM_ZONES, NUM_FEATURES), whitenings=(NUM_ZONES, NUM_FEATURES, NUM_FEATURES))


@TASK_UTILS.register_module()
class TextureTeacher(Teacher):
    """Scores how unusual the local texture is, on half the resolution of the working image.

    No weights, no network, any CPU. Contrast, roughness, oriented energy and lay of every cell are compared
    with a Gaussian model: fitted, with that of the whole set (:class:`UsualTexture`), which makes the maps of
    different images comparable; else with that of the image alone. Evidence is pooled at three scales; the
    strongest counts. Images of one even grey have all-zero maps. ``docs/research/texture_teacher.md`` tells
    what else was tried.

    Args:
        long_side: Images are shrunk to this longer side, in pixels; smaller ones keep their size.
        normals: Images free of defects to learn from, in place of those that :meth:`fit` is given: a folder, a list
            file, or a list of files.
        num_normals: How many of them to use; default all.
        seed: Chooses them.
        value_range: Grey values of deep normal images that become 0 and 255.

    Raises:
        FileNotFoundError: If a normal image does not exist.
        ValueError: If ``long_side`` is out of range, or there are fewer normal images than asked.
    """

    version = 6

    def __init__(self, long_side: int = 256, *, normals: Normals | None = None, num_normals: int | None = None,
                 seed: int = 0, value_range: tuple[float, float] | None = None) -> None:
        if not 16 <= long_side <= 4096:
            raise ValueError(f'long_side must lie in [16, 4096] pixels, but {long_side} was given')
        check_number(num_normals, normals)
        self._long_side = int(long_side)
        self._normals = None if normals is None else NormalImages(pick_normals(normals, num_normals, seed), value_range)
        self._settings: dict[str, Any] = dict(long_side=self._long_side)
        if normals:
            self._settings |= dict(normals=as_setting(normals), num_normals=num_normals, seed=int(seed),
                                   value_range=value_range and list(value_range))
        self._usual: UsualTexture | None = None

    @property
    def settings(self) -> dict[str, Any]:
        return self._settings

    @property
    def source_files(self) -> Sequence[Path]:
        return self._normals.paths if self._normals else ()

    def fit(self, images: Iterable[np.ndarray]) -> None:
        """Learn what texture is usual in a set of unlabelled images, of which most may be defective.

        Args:
            images: (H, W, 3) uint8 BGR arrays of any size; iterated once, none is kept.

        Raises:
            ValueError: If there is no image with any texture.
        """
        statistics = TextureStatistics(NUM_FEATURES)
        for image in to_learn_from(images, self._normals):
            grey = to_working_grey(image, self._long_side)
            if not _is_even(grey):
                statistics.add(texture_features(grey, _STRIDE))
        if not statistics.num_images:
            raise ValueError('TextureTeacher.fit needs at least one image that is not of one even grey')
        self._usual = statistics.solve()

    def predict(self, images: Sequence[np.ndarray]) -> AnomalyMaps:
        # OpenCV and NumPy let other threads run while they compute; every image is computed as if it were alone.
        with ThreadPoolExecutor(max(1, min(len(images), torch.get_num_threads()))) as pool:
            maps = list(pool.map(self._map, images))
        scores = [np.quantile(anomaly_map, _TOP_QUANTILE) for anomaly_map in maps]
        return AnomalyMaps(maps, np.asarray(scores, dtype=np.float32))

    def state_dict(self) -> dict[str, torch.Tensor]:
        if self._usual is None:
            return {}
        return {name: torch.from_numpy(value.copy()) for name, value in self._usual._asdict().items()}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what :meth:`fit` learned; an empty state makes the teacher an unfitted one.

        Raises:
            ValueError: If tensors are missing, unknown, of another shape or not finite.
        """
        if not state:
            self._usual = None
            return
        given = {name: tuple(tensor.shape) for name, tensor in state.items()}
        if given != _SHAPES or not all(torch.isfinite(tensor).all() for tensor in state.values()):
            raise ValueError(f'TextureTeacher needs finite tensors of the shapes {_SHAPES}, but the state '
                             f'holds {given}; use the state of a TextureTeacher of this version')
        self._usual = UsualTexture(**{name: state[name].cpu().double().numpy().copy() for name in _SHAPES})

    def _map(self, image: np.ndarray) -> np.ndarray:
        grey = to_working_grey(image, self._long_side)
        if _is_even(grey):
            return np.zeros([-(-side // _STRIDE) for side in grey.shape], dtype=np.float32)
        features = texture_features(grey, _STRIDE)
        usual = self._usual or usual_texture_of(features)
        return _pool_evidence(usual.distances(features))


def _is_even(grey: np.ndarray) -> bool:
    return grey.min() == grey.max()


def _pool_evidence(distances: np.ndarray) -> np.ndarray:
    """Strongest of the local geometric means at several scales: (h, w) -> (h, w) float32."""
    evidence = np.log(distances + 1e-3)  # the geometric mean keeps single cells from drawing wide halos
    pooled = [np.log(gain) + cv2.GaussianBlur(evidence, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
              for sigma, gain in _EVIDENCE_SCALES]
    return np.exp(np.max(pooled, axis=0)).astype(np.float32)
