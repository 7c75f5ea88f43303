"""Frozen patch features of images, from any backbone of timm, torchvision, mmpretrain or MMEngine's registry."""
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from .backbones import FrozenBackbone, check_backbone, local_weights

#: EfficientNet-Lite0 with ImageNet weights from a pip package: strides 4, 8, 16, 32; 24, 40, 112, 320 channels.
DEFAULT_BACKBONE = dict(type='mmpretrain.TIMMBackbone', model_name='tf_efficientnet_lite0', features_only=True,
                        out_indices=(1, 2, 3, 4), init_cfg=dict(type='EfficientNetLiteImageNet', variant='lite0'))
_PIXELS = 512 * 512  # that go through the backbone at once: more is no faster, and takes memory


class PatchFeatures:
    """Turns an image into a grid of feature vectors, one per patch.

    The levels of the backbone are averaged over 3x3 patches, as in PatchCore (https://arxiv.org/abs/2106.08265),
    brought to the grid of the finest level and joined. Images of one size go through together. The model is built at
    the first use.

    Args:
        backbone: See :func:`agssp_mm.teachers.backbones.check_backbone`.
        levels: Numbers of its levels, or names of its modules.
        long_side: Images are resized to this longer side in pixels; the aspect ratio is kept (to whole patches, where
            the backbone wants such).
        mean, std: Of the backbone's RGB inputs, on the scale 0 to 255; ``None`` for those that its library names,
            127.5 for a config with a type.
        squash: Whether images become squares of ``long_side`` pixels instead.
        count_border: Whether zeros around the frame count in the averages over patches. They mark the patches along
            the frame, so that these are compared with each other.
        neighbourhood: Patches along a side of the averages, odd; 1 leaves the features as they are. A teacher's own
            choice and no setting.

    Raises:
        ValueError: If a setting is out of range.
    """

    def __init__(self, backbone: str | Mapping[str, Any], levels: Sequence[int | str] | int | str, long_side: int,
                 mean: Sequence[float] | None = None, std: Sequence[float] | None = None, *, squash: bool = False,
                 count_border: bool = False, neighbourhood: int = 3) -> None:
        if not 32 <= long_side <= 4096:
            raise ValueError(f'long_side must lie in [32, 4096] pixels, got {long_side}')
        for name, values in dict(mean=mean, std=std).items():
            if values is not None and (len(values) != 3 or name == 'std' and min(values) <= 0):
                raise ValueError(f'{name} needs three values, those of std above 0; got {values}')
        levels = [levels] if isinstance(levels, (int, str)) else list(levels)  # levels=3 on a command line
        if not levels:
            raise ValueError('levels names none; give at least one level of the backbone')
        self.backbone, self.levels, self.long_side = check_backbone(backbone), tuple(levels), int(long_side)
        self._mean, self._std, self.squash, self.count_border = mean, std, bool(squash), bool(count_border)
        self._neighbourhood = neighbourhood
        self._device = torch.device('cpu')
        self._model: FrozenBackbone | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments that reproduce this, as plain values."""
        return dict(backbone=self.backbone, levels=list(self.levels), long_side=self.long_side,
                    mean=self._mean and list(self._mean), std=self._std and list(self._std), squash=self.squash,
                    count_border=self.count_border)

    @property
    def weight_files(self) -> tuple[Path, ...]:
        """Local files that the backbone's weights come from."""
        return local_weights(self.backbone)

    def to(self, device: str | torch.device) -> Self:
        """Move the model to a device."""
        self._device = torch.device(device)
        if self._model is not None:
            self._model.to(self._device)
        return self

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Features of one image: (H, W, 3) uint8 BGR -> (h, w, C) float32; errors as of :meth:`of_batch`."""
        return self.of_batch([image])[0]

    @torch.no_grad()
    def of_batch(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Features of each image.

        Args:
            images: (H, W, 3) uint8 BGR each.

        Returns:
            (h, w, C) float32 each.

        Raises:
            ValueError: If the backbone has no such level, or its features are not finite.
        """
        model = self._load()
        inputs = [self._to_input(image) for image in images]
        found: dict[int, np.ndarray] = {}
        for places in _of_one_size(inputs):
            stacked = torch.stack([inputs[place] for place in places]).to(self._device)
            joined = self._joined(model(stacked.permute(0, 3, 1, 2)))  # channels last, as the backbone wants them
            for place, features in zip(places, joined.permute(0, 2, 3, 1).cpu(), strict=True):
                # a copy: else a small grid would keep the features of its whole batch
                found[place] = features.contiguous().numpy().copy()
        return [found[place] for place in range(len(images))]

    def _joined(self, levels: Sequence[torch.Tensor]) -> torch.Tensor:
        width = self._neighbourhood
        levels = [F.avg_pool2d(level.float(), width, 1, width // 2, count_include_pad=self.count_border)
                  for level in levels]
        size = max((level.shape[-2:] for level in levels), key=lambda shape: shape[0] * shape[1])
        joined = torch.cat([F.interpolate(level, size, mode='bilinear', align_corners=False) for level in levels], 1)
        if not torch.isfinite(joined).all():
            raise ValueError(f'the features of {self._model.name} are not finite; check its weights and the '
                             'normalisation (mean, std)')
        return joined

    def _to_input(self, image: np.ndarray) -> torch.Tensor:
        """(H, W, 3) uint8 BGR -> (h, w, 3) normalised RGB."""
        ratio, multiple = self.long_side / max(image.shape[:2]), self._model.multiple
        sides = [self.long_side] * 2 if self.squash else [side * ratio for side in image.shape[1::-1]]
        size = [max(1, round(side / multiple)) * multiple for side in sides]
        resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR)
        rgb = torch.from_numpy(np.ascontiguousarray(resized[..., ::-1])).float()
        mean, std = (torch.tensor(given if given is not None else own, dtype=torch.float32)
                     for given, own in ((self._mean, self._model.mean), (self._std, self._model.std)))
        return (rgb - mean) / std

    def _load(self) -> FrozenBackbone:
        if self._model is None:
            self._model = FrozenBackbone(self.backbone, self.levels).to(self._device)
        return self._model


def _of_one_size(inputs: Sequence[torch.Tensor]) -> Iterator[list[int]]:
    """Places of inputs that may go through together: of one size, and not too many."""
    for size in dict.fromkeys(one.shape for one in inputs):
        places = [place for place, one in enumerate(inputs) if one.shape == size]
        step = max(1, _PIXELS // (size[0] * size[1]))
        yield from (places[start:start + step] for start in range(0, len(places), step))
