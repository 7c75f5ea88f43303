"""Pseudo boxes as COCO JSON, for whoever trains from annotation files."""
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..files import write_atomically
from .boxes import BoxRule, PseudoBoxes
from .records import MapRecord

CATEGORY = 'anomaly'


def boxes_to_coco(boxes: Mapping[str, PseudoBoxes], records: Iterable[MapRecord], rule: BoxRule) -> dict[str, Any]:
    """Pseudo boxes of a store in COCO's form, scores included; images without a box are kept as negatives.

    Args:
        boxes: Name of each image -> its boxes.
        records: The images, in the order to list them.
        rule: What made the boxes; noted under ``info``.

    Returns:
        ``images`` (``file_name`` relative to the root of the images), ``annotations`` of the one category ``anomaly``
        with ``bbox`` in ``xywh``, ``score``, ``segmentation`` (one polygon per component) and its ``area``, and
        ``categories``. Ids count from 1. Coordinates are rounded to hundredths of a pixel.

    Raises:
        KeyError: If an image has no entry in ``boxes``.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, record in enumerate(records, 1):
        images.append(dict(id=image_id, file_name=record.name, width=record.width, height=record.height))
        for box, score, outlines in zip(*boxes[record.name], strict=True):
            annotations.append(_annotation(len(annotations) + 1, image_id, box, score, outlines))
    info = dict(description='pseudo boxes made from anomaly maps', rule=type(rule).__name__, version=rule.version,
                settings=rule.settings)
    return dict(info=info, images=images, annotations=annotations, categories=[dict(id=1, name=CATEGORY)])


def read_pseudo_boxes(path: str | Path) -> dict[str, PseudoBoxes]:
    """Read boxes that :func:`boxes_to_coco` or ``agssp relabel`` made.

    Args:
        path: COCO JSON of the one category ``anomaly``.

    Returns:
        Name of each image, as in ``file_name`` -> its boxes.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no COCO JSON, or has other categories: labels have no place in the pretraining.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'there is no {path}; agssp make-boxes or agssp relabel write such files')
    try:
        coco = json.loads(Path(path).read_text(encoding='utf-8'))
        names = {image['id']: image['file_name'] for image in coco['images']}
        categories = [category['name'] for category in coco['categories']]
        annotations: dict[str, list[Mapping[str, Any]]] = {name: [] for name in names.values()}
        for annotation in coco['annotations']:
            annotations[names[annotation['image_id']]].append(annotation)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path} is no COCO JSON of pseudo boxes ({type(error).__name__}: {error})') from error
    if categories != [CATEGORY]:
        raise ValueError(f'{path} has the categories {categories}; pseudo boxes are of the one category "{CATEGORY}", '
                         'and labels have no place in the pretraining')
    return {name: PseudoBoxes.of([_corners(each['bbox']) for each in found],
                                 [each.get('score', 1.0) for each in found],
                                 [_outlines(each.get('segmentation')) for each in found])
            for name, found in annotations.items()}


def write_coco(path: str | Path, coco: dict[str, Any]) -> None:
    """Write COCO JSON, atomically; the folder is made if needed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as file:
        file.write(json.dumps(coco).encode() + b'\n')


def _corners(xywh: Sequence[float]) -> tuple[float, ...]:
    x, y, width, height = xywh
    return x, y, x + width, y + height


def _outlines(segmentation: Sequence[Sequence[float]] | None) -> list[np.ndarray]:
    return [np.reshape(outline, (-1, 2)) for outline in segmentation or ()]


def _annotation(annotation_id: int, image_id: int, box: np.ndarray, score: np.float32,
                outlines: list[np.ndarray]) -> dict[str, Any]:
    x1, y1, x2, y2 = box.astype(np.float64)
    return dict(id=annotation_id, image_id=image_id, category_id=1, iscrowd=0,
                bbox=[round(float(value), 2) for value in (x1, y1, x2 - x1, y2 - y1)],
                score=round(float(score), 6), area=round(sum(map(_polygon_area, outlines)), 2),
                segmentation=[np.round(outline.astype(np.float64), 2).ravel().tolist() for outline in outlines])


def _polygon_area(outline: np.ndarray) -> float:
    """Area by the shoelace formula, in square pixels."""
    x, y = outline.astype(np.float64).T
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)
