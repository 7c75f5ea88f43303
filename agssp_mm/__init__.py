"""Anomaly-guided self-supervised pretraining for MMDetection.

Importing the package registers its types in MMEngine's root registries, so that configs of MMDetection and
MMPretrain find them by their bare names.
"""
import sys
from importlib import import_module
from typing import Any

from agssp_mm._dependencies import asked_for_doctor, check_dependencies
from agssp_mm.version import __version__

__all__ = ['__version__', 'pretrain']

# Modules that register types, one per line. None of them may pull mmdet, mmpretrain, timm or open_clip.
REGISTERING_MODULES = (
    'checkpoints.efficientnet_lite',
    'datasets.pseudo_box_dataset',
    'datasets.split_epoch_sampler',
    'datasets.transforms.anomaly_map_generator',
    'datasets.transforms.multi_view_with_maps',
    'datasets.transforms.paste_defects',
    'datasets.transforms.paste_textures',
    'datasets.transforms.pseudo_proposals',
    'datasets.transforms.load_industrial_image',
    'engine.backbone_start',
    'engine.bfloat16_optim_wrapper',
    'engine.channels_last',
    'engine.detector_export',
    'engine.distillation_pretrainer',
    'engine.freeze',
    'engine.load_report',
    'engine.map_agreement',
    'engine.norm_eval',
    'engine.source_classes',
    'maps.component_tree_boxes',
    'maps.paper_boxes',
    'models.backbone_pretrainer',
    'models.losses',
    'teachers.ensemble',
    'teachers.kead',
    'teachers.mutual',
    'teachers.normalized_cut',
    'teachers.patch_memory',
    'teachers.precomputed',
    'teachers.subspace',
    'teachers.texture',
    'teachers.tiling',
    'visualization.anomaly_visualization_hook',
)


def __getattr__(name: str) -> Any:
    # The whole pretraining as one call; what it needs is imported when it is asked for.
    if name == 'pretrain':
        return import_module(f'{__name__}.api').pretrain
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


if not asked_for_doctor(sys.argv):
    check_dependencies()
    for _module in REGISTERING_MODULES:
        import_module(f'{__name__}.{_module}')
