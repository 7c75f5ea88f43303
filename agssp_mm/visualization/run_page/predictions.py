"""What the detector of stage 2 finds in images that it was not, or was least, trained on."""
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from mmengine.config import Config

from ...checkpoints.reading import read_checkpoint, weights_of
from ...maps.box_quality import TrueBoxes, read_true_boxes
from ...maps.store import MapStore
from ...recipes.building import build
from ...recipes.reachability import drop_unreachable
from .gallery import data_uri, plain_truth
from .held_out import held_out_records
from .inputs import load_image, make_batch, plain_pipeline
from .work_folder import WorkFolder, pseudo_box_dataset, read_config

_SIDE, _MOST_BOXES = 360, 10
# Boxes below this score hide the image; the best few are shown only where there is no other.
_SCORE, _FALLBACK = 0.3, 3


class HeldOutImages(NamedTuple):
    """Images to detect in.

    Attributes:
        files: Name -> file.
        note: What they are, in words.
        truth: True boxes by name, where there are any.
    """

    files: dict[str, Path]
    note: str
    truth: Mapping[str, TrueBoxes]


def find_held_out(folder: WorkFolder, store: MapStore | None, truth: Mapping[str, TrueBoxes],
                  number: int) -> HeldOutImages | None:
    """Labelled images that no stage of the pretraining saw, or else those that stage 1 kept out.

    Labels only choose what is shown beside a detection; nothing learns from them.
    """
    labelled = _labelled(folder)
    if labelled is not None:
        annotations, root = labelled
        try:
            boxes = read_true_boxes(annotations)
        except (FileNotFoundError, ValueError) as error:
            folder.problems.append(str(error))
            boxes = {}
        seen = _pretrained_on(folder, store)
        there = [name for name in boxes if (root / name).is_file() and (root / name).resolve() not in seen][:number]
        if there:
            return HeldOutImages({name: root / name for name in there},
                                 'Validation images; no stage of the pretraining saw them.', boxes)
    stage = folder.stage('agbp')
    dataset = pseudo_box_dataset(stage.config.get('train_dataloader') or {}) if stage and stage.config else None
    if not (dataset and store and folder.image_root):
        return None
    own = held_out_records(folder, dataset, store)
    names = [record.name for record in sorted(own, key=lambda record: -record.score)]
    there = [name for name in names if (folder.image_root / name).is_file()][:number]
    return HeldOutImages({name: folder.image_root / name for name in there},
                         'Images that stage 1 kept out of its training; stage 2 trained on their pseudo boxes too. '
                         'Give labelled images (--annotations, --val-annotations of agssp pretrain) to see images '
                         'that no stage saw.', truth) if there else None


def _pretrained_on(folder: WorkFolder, store: MapStore | None) -> set[Path]:
    """The images of the pretraining. Not their names: these are relative to one folder here, to another there."""
    root = folder.image_root
    return {(root / record.name).resolve() for record in store.index} if store and root else set()


def _labelled(folder: WorkFolder) -> tuple[Path, Path] | None:
    if folder.kind == 'demo':
        return folder.path / 'data' / 'annotations' / 'val.json', folder.path / 'data' / 'images'
    path = folder.path / 'finetune.py'
    if folder.kind != 'pretraining' or not path.is_file():
        return None
    config = read_config(path, folder.problems) or Config()
    dataset = (config.get('val_dataloader') or {}).get('dataset') or {}
    annotations = Path(dataset.get('ann_file') or '')
    root = Path((dataset.get('data_prefix') or {}).get('img') or '')
    return (annotations, root) if annotations.is_file() else None


def draw_predictions(config: Config, weights: Path, images: HeldOutImages) -> list[dict[str, Any]]:
    """Detect, and give each image as a card like those of the gallery, at one step.

    Args:
        config: Of stage 2.
        weights: ``detector.pth``.
        images: Where to detect.
    """
    scope = config.get('default_scope', 'mmdet')
    described = config.model.to_dict()
    drop_unreachable(described, downloads=False)
    model = build(described, scope)
    model.load_state_dict(weights_of(read_checkpoint(weights)), strict=False)
    model.eval()
    pipeline, cards = plain_pipeline(config), []
    for name, path in images.files.items():
        with torch.no_grad():
            found = model.test_step(make_batch(pipeline, path, scope))[0].pred_instances.cpu()
        number = min(int((found.scores >= _SCORE).sum()) or _FALLBACK, _MOST_BOXES)
        best = found.scores.argsort(descending=True)[:number]
        boxes = np.concatenate([found.bboxes[best].numpy(), found.scores[best].numpy()[:, None]], 1)
        cards.append(_card(name, load_image(pipeline, path, scope), boxes, images.truth.get(name)))
    return cards


def _card(name: str, image: np.ndarray, boxes: np.ndarray, truth: TrueBoxes | None) -> dict[str, Any]:
    height, width = image.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    shrunk = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    return dict(name=name, width=width, height=height, image=data_uri(shrunk), truth=plain_truth(truth),
                boxes=[[*(round(float(value), 1) for value in box[:4]), round(float(box[4]), 2)] for box in boxes])

