"""Activation maps, the losses on them, and a model that is only a backbone."""
from agssp_mm.models.backbone_pretrainer import BackbonePretrainer
from agssp_mm.models.losses import CosineMapLoss, NormalizedL2MapLoss

__all__ = ['BackbonePretrainer', 'CosineMapLoss', 'NormalizedL2MapLoss']
