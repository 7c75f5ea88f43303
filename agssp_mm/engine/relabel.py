"""Pseudo boxes of a second round: what a pretrained detector finds takes the place of what the maps gave."""
import copy
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from agssp_mm.checkpoints.reading import read_checkpoint, weights_of
from agssp_mm.maps.boxes import PseudoBoxes
from agssp_mm.maps.coco import CATEGORY


def build_trained(config: Config, checkpoint: str | Path, device: str = 'cpu') -> nn.Module:
    """Build the class-agnostic detector of stage 2 with its weights, ready to detect.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If tensors of the model are missing in it or have another shape.
    """
    from mmdet.registry import MODELS
    init_default_scope('mmdet')
    settings = copy.deepcopy(config.model)
    _drop_score_thresholds(settings.get('test_cfg'))
    model = MODELS.build(settings)
    state = weights_of(read_checkpoint(checkpoint))
    own = model.state_dict()
    unfit = [name for name, value in own.items() if name not in state or state[name].shape != value.shape]
    if unfit:
        raise ValueError(f'{checkpoint} does not fit the model of the config: {len(unfit)} of {len(own)} tensors are '
                         f'missing or of another shape, e.g. {unfit[:3]}; give the detector.pth that this config wrote')
    model.load_state_dict(state, strict=False)
    return model.to(device).eval()


def _drop_score_thresholds(test_cfg: Any) -> None:
    """Keep what detectors usually drop as too uncertain: after a short training few scores are high, and
    :func:`agssp_mm.maps.strongest.keep_strongest` chooses by rank."""
    for key, value in test_cfg.items() if isinstance(test_cfg, Mapping) else ():
        if key == 'score_thr':
            test_cfg[key] = 0.0
        _drop_score_thresholds(value)


def detections_to_coco(boxes: Mapping[str, PseudoBoxes], sizes: Mapping[str, tuple[int, int]],
                       info: Mapping[str, Any]) -> dict[str, Any]:
    """Detections in COCO's form, of the one category ``anomaly``; images without a box are kept as negatives.

    Args:
        boxes: Name of each image -> its boxes.
        sizes: Name of each image -> (height, width) in pixels.
        info: What made them.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, (name, each) in enumerate(boxes.items(), 1):
        height, width = sizes[name]
        images.append(dict(id=image_id, file_name=name, height=height, width=width))
        annotations += _annotations(len(annotations) + 1, image_id, each)
    return dict(info=dict(info), images=images, annotations=annotations, categories=[dict(id=1, name=CATEGORY)])


def _annotations(first_id: int, image_id: int, each: PseudoBoxes) -> Iterable[dict[str, Any]]:
    for number, ((x1, y1, x2, y2), score) in enumerate(zip(each.boxes.tolist(), each.scores.tolist())):
        width, height = x2 - x1, y2 - y1
        yield dict(id=first_id + number, image_id=image_id, category_id=1, iscrowd=0, score=round(score, 6),
                   bbox=[round(value, 2) for value in (x1, y1, width, height)], area=round(width * height, 2))
