"""Detecting on many unlabelled images: read ahead, bad ones passed over, what is found kept in parts."""
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from agssp_mm.images import ImageList
from agssp_mm.maps.box_cache import PART_IMAGES
from agssp_mm.maps.box_files import keep_boxes, read_boxes
from agssp_mm.maps.boxes import PseudoBoxes
from agssp_mm.maps.decoding import most_lost, read_patiently

#: Of two boxes of one image that share more than this part of the smaller one, the weaker is dropped.
MAX_SHARED = 0.5


def detect_boxes(model: nn.Module, images: ImageList, image_size: int, batch_size: int = 8,
                 loader: Mapping[str, Any] | None = None, workers: int = 0,
                 parts: Path | None = None) -> dict[str, PseudoBoxes]:
    """Detect on unlabelled images. Those that cannot be read have no box and are named in a warning.

    Args:
        model: Detector of one class, in evaluation mode.
        images: What to detect on.
        image_size: Longer side that the images are scaled to, in pixels.
        batch_size: Images per forward pass.
        loader: Config of the transform that reads the images; None: MMDetection's own.
        workers: Processes that read images; 0: this one.
        parts: Folder of this very model and list, that what was found is kept in after every 5,000 images, so that a
            killed run goes on; None: nothing is kept.

    Returns:
        Name of each image -> its detections in pixels of the stored image, best first.

    Raises:
        OSError: If more images cannot be read than faulty files explain (10, or one in a hundred, or 1,000), or none.
    """
    pipeline = Compose([
        dict(loader or dict(type='LoadImageFromFile')),
        dict(type='Resize', scale=(image_size, image_size), keep_ratio=True),
        dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))])
    entries, found, faults = list(images), dict[str, PseudoBoxes](), dict[str, str]()
    with tqdm(total=len(entries), desc='detecting', unit='image', disable=None) as progress:
        for start in range(0, len(entries), PART_IMAGES):
            part, path = entries[start:start + PART_IMAGES], parts and parts / f'{start // PART_IMAGES:05}.npz'
            kept = read_boxes(path, len(part)) if path else None
            if kept is not None:
                progress.update(len(part))
            else:
                loaded = DataLoader(_Loaded([images.path(entry) for entry in part], pipeline), batch_size,
                                    num_workers=workers, collate_fn=list)
                before = len(faults)
                kept = _detect(model, loaded, faults, most_lost(len(entries)), progress)
                if path and len(faults) == before:  # images that could not be read are tried again
                    keep_boxes(path, kept)
            # An empty list for each of so many boxes takes more memory than the boxes.
            found.update({entry.name: boxes._replace(polygons=[]) for entry, boxes in zip(part, kept, strict=True)})
    if faults and len(faults) == len(entries):
        raise OSError(f'none of the {len(entries)} images below {images.root} can be read, e.g. {_some(faults)}')
    if faults:
        logging.getLogger(__name__).warning('%d of %d images could not be read and have no box, e.g. %s', len(faults),
                                            len(entries), _some(faults))
    return found


class _Loaded(Dataset):
    """Images ready for the model, or the reason why one is not."""

    def __init__(self, paths: Sequence[Path], pipeline: Compose):
        self.paths, self.pipeline = paths, pipeline

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[str, dict[str, Any] | str]:
        path = str(self.paths[index])
        try:
            return path, read_patiently(lambda: self.pipeline(dict(img_path=path, img_id=index)))
        except Exception as error:  # noqa: BLE001 - bad images lead the loaders anywhere
            return path, f'{type(error).__name__}: {error}'


@torch.no_grad()
def _detect(model: nn.Module, loaded: DataLoader, faults: dict[str, str], most_faults: int,
            progress: tqdm) -> list[PseudoBoxes]:
    """Boxes of one part, in its order; adds to ``faults``, path of an image -> reason."""
    found: list[PseudoBoxes] = []
    for batch in loaded:
        faults.update({path: sample for path, sample in batch if isinstance(sample, str)})
        if len(faults) > most_faults:
            raise OSError(f'{len(faults)} images cannot be read, more than faulty files explain, e.g. {_some(faults)}; '
                          'see whether their disk or network share is there, and give the command again')
        packed = [sample for _, sample in batch if not isinstance(sample, str)]
        results = iter(model.test_step(pseudo_collate(packed)) if packed else ())
        found += [PseudoBoxes.of([], [], []) if isinstance(sample, str) else _without_nests(next(results))
                  for _, sample in batch]
        progress.update(len(batch))
    return found


def _some(faults: Mapping[str, str]) -> str:
    return '; '.join(f'{path} ({reason})' for path, reason in list(faults.items())[:3])


def _without_nests(sample: Any) -> PseudoBoxes:
    """Detections of one image, a DetDataSample, cut at its border."""
    detections, (height, width) = sample.pred_instances.numpy(), sample.ori_shape
    boxes = np.clip(detections.bboxes, 0, np.array([width, height] * 2, np.float32))
    sizes = boxes[:, 2:] - boxes[:, :2]
    areas, left = sizes.prod(1), (sizes >= 1).all(1)
    kept = []
    for i in np.argsort(-detections.scores, kind='stable'):
        if left[i]:
            kept.append(i)
            sides = np.minimum(boxes[i, 2:], boxes[:, 2:]) - np.maximum(boxes[i, :2], boxes[:, :2])
            left &= np.clip(sides, 0, None).prod(1) <= MAX_SHARED * np.minimum(areas[i], areas)
    return PseudoBoxes.of(boxes[kept], detections.scores[kept], [[] for _ in kept])
