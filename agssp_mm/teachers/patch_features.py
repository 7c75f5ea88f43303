"""Frozen patch features of images, from any backbone that MMEngine's registry builds."""
from collections.abc import Mapping, Sequence
from typing import Any, Self

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS

#: EfficientNet-Lite0 with ImageNet weights from a pip package: strides 8 and 16, 40 + 112 channels.
DEFAULT_BACKBONE = dict(type='mmpretrain.TIMMBackbone', model_name='tf_efficientnet_lite0', features_only=True,
                        out_indices=(2, 3), init_cfg=dict(type='EfficientNetLiteImageNet', variant='lite0'))


class PatchFeatures:
    """Turns an image into a grid of feature vectors, one per patch.

    The levels of the backbone are averaged over 3x3 patches, as in PatchCore (https://arxiv.org/abs/2106.08265),
    brought to the grid of the finest level and joined. Images go through one by one, so an image's features depend
    on nothing else. The model is built at the first use.

    Args:
        backbone: Config of a backbone that returns a tuple of (1, C, h, w) levels, e.g. ``mmpretrain.TIMMBackbone``,
            with its weights in ``init_cfg``.
        levels: Which entries of that tuple.
        long_side: Images are resized to this longer side in pixels; the aspect ratio is kept.
        mean, std: Of the backbone's RGB inputs, on the scale 0 to 255.

    Raises:
        ValueError: If a setting is out of range.
    """

    def __init__(self, backbone: Mapping[str, Any], levels: Sequence[int], long_side: int, mean: Sequence[float],
                 std: Sequence[float]) -> None:
        if not 32 <= long_side <= 4096:
            raise ValueError(f'long_side must lie in [32, 4096] pixels, got {long_side}')
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError(f'mean and std need three values, those of std above 0; got {mean} and {std}')
        if not levels:
            raise ValueError('levels is empty; name at least one level of the backbone')
        self.backbone, self.levels, self.long_side = dict(backbone), tuple(levels), int(long_side)
        self._mean, self._std = (torch.tensor(values, dtype=torch.float32)[:, None, None] for values in (mean, std))
        self._device = torch.device('cpu')
        self._model: torch.nn.Module | None = None

    def to(self, device: str | torch.device) -> Self:
        """Move the model to a device."""
        self._device = torch.device(device)
        if self._model is not None:
            self._model.to(self._device)
        return self

    @torch.no_grad()
    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Features of one image.

        Args:
            image: (H, W, 3) uint8 BGR.

        Returns:
            (h, w, C) float32.

        Raises:
            ValueError: If the backbone has no such level, or its features are not finite.
        """
        outputs = self._load()(self._to_input(image))
        if max(self.levels) >= len(outputs) or min(self.levels) < -len(outputs):
            raise ValueError(f'the backbone {self.backbone["type"]} returns {len(outputs)} levels, but levels='
                             f'{self.levels} was given')
        chosen = [F.avg_pool2d(outputs[level].float(), 3, 1, 1, count_include_pad=False) for level in self.levels]
        size = max((level.shape[-2:] for level in chosen), key=lambda shape: shape[0] * shape[1])
        joined = torch.cat([F.interpolate(level, size, mode='bilinear', align_corners=False) for level in chosen], 1)
        if not torch.isfinite(joined).all():
            raise ValueError(f'the features of {self.backbone["type"]} are not finite; check its weights (init_cfg) '
                             'and the normalisation (mean, std)')
        return joined[0].permute(1, 2, 0).cpu().numpy()

    def _to_input(self, image: np.ndarray) -> torch.Tensor:
        height, width = image.shape[:2]
        ratio = self.long_side / max(height, width)
        size = [max(1, round(side * ratio)) for side in (width, height)]
        resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR)
        rgb = torch.from_numpy(np.ascontiguousarray(resized[..., ::-1])).permute(2, 0, 1).float()
        return ((rgb - self._mean) / self._std)[None].to(self._device)

    def _load(self) -> torch.nn.Module:
        if self._model is None:
            model = MODELS.build(dict(self.backbone))
            model.init_weights()
            model.eval()  # returns None in some of mmpretrain's backbones
            self._model = model.requires_grad_(False).to(self._device)
        return self._model
