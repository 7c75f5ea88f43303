"""The boxes of the next round of stage 2, made by the detector of the last one."""
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import TASK_UTILS

from agssp_mm.engine.data_origin import mappings
from agssp_mm.engine.launch import load_config
from agssp_mm.engine.detecting import detect_boxes
from agssp_mm.engine.relabel import build_trained, detections_to_coco
from agssp_mm.images import ImageList
from agssp_mm.maps.box_cache import load_or_make_boxes
from agssp_mm.maps.boxes import PseudoBoxes
from agssp_mm.maps.coco import read_pseudo_boxes, write_coco
from agssp_mm.maps.store import MapStore
from agssp_mm.maps.strongest import check_per_image, keep_strongest


def make_next_round(config: str | Path, checkpoint: str | Path, images: ImageList, store: str | Path,
                    out: str | Path, *, per_image: float | None = None, image_size: int | None = None,
                    batch_size: int = 8, workers: int = 2, device: str | None = None) -> Mapping[str, PseudoBoxes]:
    """Let the detector of one round of AGDP make the boxes of the next, as COCO JSON for ``PseudoBoxDataset``.

    A detector trained on noisy boxes averages their errors out, so its own boxes are better than those it learnt from
    (self-training as in CutLER, Wang et al., arXiv 2301.11320).

    Args:
        config: Config of the finished round.
        checkpoint: The ``detector.pth`` that it wrote.
        images: The unlabelled images.
        store: Map store that covers them; says their sizes.
        out: COCO JSON to write; images without a box are kept in it. While it is made, the folder ``<out>.parts`` holds
            what was found so far: a killed run goes on where it was.
        per_image: Boxes to keep per image on average, best first over all images; None: as many as that round had.
        image_size: Longer side that images are scaled to, in pixels; None: as the training pipeline does.
        batch_size: Images per forward pass.
        workers: Processes that read images; 0: this one.
        device: "cpu", "cuda", ...; None: "cuda" where there is one.

    Returns:
        Name of each image -> its boxes.

    Raises:
        FileNotFoundError: If config, checkpoint or store do not exist.
        OSError: If many images cannot be read, see :func:`agssp_mm.engine.detecting.detect_boxes`.
        ValueError: If the store does not cover the images, the checkpoint does not fit the config, the detector finds
            nothing, or the config does not tell ``per_image`` or ``image_size``, which are not given.
    """
    if per_image is not None:
        check_per_image(per_image)
    if image_size is not None and image_size < 1:
        raise ValueError(f'image_size must be at least 1 pixel, got {image_size}; leave it out for that of the '
                         'training')
    config = load_config(config)
    maps = MapStore.open(store)
    records = {record.name: record for record in maps.index}
    missing = maps.not_covered(entry.name for entry in images)
    if missing:
        raise ValueError(f'{len(missing)} of {len(images)} images are not in {store}, e.g. {missing[:3]}; '
                         'give the store and the list that the detector was pretrained with')
    present = replace(images, entries=tuple(entry for entry in images
                                            if entry.name in records and images.path(entry).is_file()))
    if per_image is None:
        per_image = _boxes_per_image(config, maps, [entry.name for entry in present])
    image_size = _training_size(config) if image_size is None else image_size
    model = build_trained(config, checkpoint, device or ('cuda' if torch.cuda.is_available() else 'cpu'))
    loader, parts = _loader(config), Path(f'{out}.parts')
    run = _run_key(config, checkpoint, present, image_size, loader)
    found = detect_boxes(model, present, image_size, batch_size, loader, workers, parts / run)
    if not any(len(each.boxes) for each in found.values()):
        raise ValueError(f'the detector finds nothing in any of {len(found)} images; train stage 2 for longer')
    boxes = keep_strongest(found, per_image)
    sizes = {name: (records[name].height, records[name].width) for name in boxes}
    write_coco(out, detections_to_coco(boxes, sizes, dict(
        description='pseudo boxes made by a pretrained detector', checkpoint=Path(checkpoint).name,
        per_image=round(per_image, 4), image_size=image_size)))
    shutil.rmtree(parts, ignore_errors=True)
    return boxes


def _run_key(config: Config, checkpoint: str | Path, images: ImageList, image_size: int,
             loader: Mapping[str, Any] | None) -> str:
    """Tells apart what detections depend on."""
    with open(checkpoint, 'rb') as file:
        weights = hashlib.file_digest(file, 'sha256').hexdigest()
    facts = json.dumps([weights, config.model.to_dict(), images.fingerprint(), image_size, loader], default=str)
    return hashlib.blake2b(facts.encode(), digest_size=16).hexdigest()


def _loader(config: Config) -> dict[str, Any] | None:
    """The transform that scaled the grey values of the training images; None where MMDetection's own read them."""
    found = next((part for part in mappings(config.get('train_dataloader'))
                  if str(part.get('type', '')).rsplit('.', 1)[-1] == 'LoadIndustrialImage'), None)
    # No image may be left out here.
    return None if found is None else dict(found, skip_corrupt=False)


def _boxes_per_image(config: Config, maps: MapStore, names: list[str]) -> float:
    """How many boxes per image the data set of a config has for these images."""
    dataset = inner_dataset(config)
    if dataset.get('boxes'):
        boxes = read_pseudo_boxes(dataset.boxes)
        missing = [name for name in names if name not in boxes]
        if missing:
            raise ValueError(f'{len(missing)} of {len(names)} images are not in {dataset.boxes}, the boxes that the '
                             f'config trains on, e.g. {missing[:3]}; give the images that it was trained on')
    elif dataset.get('rule'):
        boxes = load_or_make_boxes(maps, TASK_UTILS.build(dataset.rule))
    else:
        raise ValueError('how many boxes to keep is not known, because the config trains on no '
                         'PseudoBoxDataset with a rule or boxes; give the config of stage 2, or per_image '
                         '(--per-image)')
    found = float(np.mean([len(boxes[name].boxes) for name in names]))
    return min(found, dataset.get('per_image') or found)


def _training_size(config: Config) -> int:
    """Side of the square that the training pipeline scales images to fit, before any random factor."""
    scales = [step.get('scale') for step in inner_dataset(config).get('pipeline') or ()
              if str(step.get('type')).rsplit('.', 1)[-1] in ('Resize', 'RandomResize')]
    if not (scales and scales[0] and np.unique(scales[0]).size == 1):
        found = f'scales them to {scales[0]}' if scales else 'has no Resize or RandomResize'
        raise ValueError(f'the size of the training is not known, because the pipeline of the config {found} '
                         '(one number or a square is understood); give image_size (--image-size)')
    return int(np.unique(scales[0])[0])


def inner_dataset(config: Config) -> ConfigDict:
    """The training's data set with pseudo boxes in a config of stage 2, below any wrappers; else the innermost one."""
    dataset = config.get('train_dataloader', ConfigDict()).get('dataset', ConfigDict())
    while 'rule' not in dataset and 'boxes' not in dataset and isinstance(dataset.get('dataset'), ConfigDict):
        dataset = dataset.dataset  # wrapped, for augmentations that mix images
    return dataset
