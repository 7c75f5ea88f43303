"""Side by side: image, anomaly map, pseudo boxes, true boxes, detections with and without the pretraining."""
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from agssp_mm.files import write_atomically
from agssp_mm.maps.boxes import PseudoBoxes
from agssp_mm.maps.store import MapStore
from agssp_mm.visualization.overlays import compose_panels, draw_boxes, overlay_map

ROWS_PER_PICTURE = 4
SCORE_THRESHOLD = 0.3
TITLES = ('image', 'anomaly map', 'pseudo boxes', 'true boxes', 'with pretraining', 'ImageNet only')


def choose_images(coco: dict[str, Any], labelled: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """The first images with a defect that no fine-tuning saw the labels of; one free of defects comes last.

    Args:
        coco: COCO JSON of all training images, with their labels.
        labelled: COCO JSON of those that fine-tuning uses.
        count: How many to take.
    """
    used = {image['id'] for image in labelled['images']}
    defective = {note['image_id'] for note in coco['annotations']}
    unseen = [image for image in coco['images'] if image['id'] not in used]
    chosen = [image for image in unseen if image['id'] in defective][:max(1, count - 1)]
    return chosen + [image for image in unseen if image['id'] not in defective][:count - len(chosen)]


def draw_pictures(folder: Path, image_root: Path, images: Sequence[dict[str, Any]], coco: dict[str, Any],
                  store: MapStore, pseudo: dict[str, PseudoBoxes],
                  detections: Sequence[Sequence[Any]]) -> list[str]:
    """Write pictures of a few rows each; returns their names in the folder.

    Args:
        folder: Where to write.
        image_root: Folder of the images.
        images: COCO entries of the images to show.
        coco: COCO JSON with their true boxes.
        store: Their anomaly maps.
        pseudo: Their pseudo boxes.
        detections: For each arm, in the order of ``TITLES``, one ``InstanceData`` per image.
    """
    names = [category['name'] for category in coco['categories']]
    rows = []
    for image, *found in zip(images, *detections, strict=True):
        pixels = cv2.imread(str(image_root / image['file_name']))
        true = [note for note in coco['annotations'] if note['image_id'] == image['id']]
        boxes = np.array([note['bbox'] for note in true], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        texts = [names[note['category_id'] - 1] for note in true]
        own = pseudo[image['file_name']].boxes
        rows.append([pixels, overlay_map(pixels, store.read(image['file_name'])),
                     draw_boxes(pixels, own, 'pseudo box', scale=2),
                     draw_boxes(pixels, boxes, 'true box', texts, scale=2),
                     *(_draw_detections(pixels, instances, names) for instances in found)])
    files = []
    for start in range(0, len(rows), ROWS_PER_PICTURE):
        files.append(f'panels_{len(files) + 1}.png')
        picture = compose_panels(rows[start:start + ROWS_PER_PICTURE], TITLES)
        with write_atomically(folder / files[-1]) as file:
            file.write(cv2.imencode('.png', picture)[1].tobytes())
    return files


def _draw_detections(pixels: np.ndarray, instances: Any, names: Sequence[str]) -> np.ndarray:
    kept = instances[instances.scores >= SCORE_THRESHOLD]
    texts = [f'{names[label]} {score:.2f}' for label, score in zip(kept.labels, kept.scores, strict=True)]
    return draw_boxes(pixels, kept.bboxes, 'detection', texts, scale=2)
