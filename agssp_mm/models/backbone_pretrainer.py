"""A model that is only a backbone."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement
from torch import Tensor

from agssp_mm.models.activation import activation_map, agreement, resize_map
from agssp_mm.models.levels import as_levels
from agssp_mm.models.map_carriers import stack_maps, take_maps


@MODELS.register_module()
class BackbonePretrainer(BaseModel):
    """Trains a backbone with nothing but the loss of the `DistillationPretrainer` hook (AGBP without a task).

    Its weights have the names of a detector's: `backbone.*`.

    Args:
        backbone: Config of any mmdet or mmpretrain backbone that returns feature maps.
        data_preprocessor: Config of the data preprocessor; type `mmdet.DetDataPreprocessor` and `pad_seg=True`
            unless it says otherwise, so that maps are padded together with their images.
        init_cfg: Initialisation, as in mmengine's `BaseModule`.
    """

    def __init__(self, backbone: dict, data_preprocessor: dict | None = None,
                 init_cfg: dict | list[dict] | None = None) -> None:
        data_preprocessor = dict(data_preprocessor or {})
        data_preprocessor.setdefault('type', 'mmdet.DetDataPreprocessor')
        kind = data_preprocessor['type']
        if getattr(kind, '__name__', kind).rsplit('.', 1)[-1] == 'DetDataPreprocessor':
            data_preprocessor.setdefault('pad_seg', True)
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)

    def forward(self, inputs: Tensor, data_samples: Sequence[BaseDataElement] | None = None,
                mode: str = 'tensor') -> tuple[Tensor, ...] | dict[str, Tensor] | list[BaseDataElement]:
        """Run the backbone.

        Args:
            inputs: Preprocessed images, (B, C, H, W), float32.
            data_samples: One per image, with its anomaly map (needed by 'predict').
            mode: 'tensor' returns the feature levels; 'loss' an empty dict, which the hook fills; 'predict' the
                data samples with their agreement, see `predict`.

        Raises:
            ValueError: If the mode is another one.
        """
        if mode == 'tensor':
            return self.extract_feat(inputs)
        if mode == 'loss':
            self.extract_feat(inputs)
            return {}
        if mode == 'predict':
            return self.predict(inputs, data_samples or ())
        raise ValueError(f"mode must be 'tensor', 'loss' or 'predict', got {mode!r}")

    def extract_feat(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the feature levels of preprocessed images: (B, C_i, h_i, w_i) each."""
        return as_levels(self.backbone(inputs))

    def predict(self, inputs: Tensor, data_samples: Sequence[BaseDataElement]) -> list[BaseDataElement]:
        """Measure how well activation and anomaly maps agree, for the `MapAgreement` metric.

        Args:
            inputs: Preprocessed images, (B, C, H, W), float32.
            data_samples: One per image, with its anomaly map; taken off, see `take_maps`.

        Returns:
            The data samples with a field `anomaly_agreement`: one correlation per level, (L,), float32, NaN
            where it is not defined.

        Raises:
            ValueError: If a sample has no map, or one of another size than its image.
        """
        size = (inputs.shape[-2], inputs.shape[-1])
        # The preprocessor pads images in every mode, but maps in training only.
        padded = [_pad(one, sample, size) for one, sample in zip(take_maps(data_samples), data_samples)]
        maps = stack_maps(padded, size, inputs.device)
        levels = []
        for feature in self.extract_feat(inputs):
            anomaly, valid = resize_map(maps, feature.shape[-2:])
            levels.append(agreement(activation_map(feature), anomaly, valid))
        for sample, values in zip(data_samples, torch.stack(levels, dim=1)):
            sample.set_field(values, 'anomaly_agreement')
        return list(data_samples)

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """As in `BaseModel`, but says what is missing when nobody added a loss.

        Raises:
            ValueError: If there is no loss.
        """
        if not losses:
            raise ValueError('BackbonePretrainer has no loss of its own: add '
                             "dict(type='DistillationPretrainer') to custom_hooks")
        return super().parse_losses(losses)


def _pad(one: Tensor, sample: BaseDataElement, size: tuple[int, int]) -> Tensor:
    """Mark the padding of an image as "no image here" in a map that has the size of the unpadded image."""
    if tuple(one.shape) != tuple(sample.get('img_shape', ())[:2]):
        return one
    return F.pad(one, (0, max(size[1] - one.shape[1], 0), 0, max(size[0] - one.shape[0], 0)), value=torch.nan)
