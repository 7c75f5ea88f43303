"""How well pseudo boxes meet true ones; for judging only, nothing learns from it."""
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from .boxes import PseudoBoxes, pairwise_iou

IOU_THRESHOLDS = (0.3, 0.5)


class TrueBoxes(NamedTuple):
    """The M true boxes of one image.

    Attributes:
        boxes: (M, 4) float, half-open ``xyxy`` in pixels.
        categories: M names.
    """

    boxes: np.ndarray
    categories: tuple[str, ...]


@dataclass(frozen=True)
class BoxQuality:
    """Pseudo boxes of a set of images against true ones.

    Attributes:
        recall: IoU threshold -> share of the true boxes that were found; NaN without any.
        precision: IoU threshold -> share of the pseudo boxes that found one; NaN without any.
        category_recall: Category -> IoU threshold -> share of its true boxes that were found.
        num_images: Images judged.
        boxes_per_image: Pseudo boxes per image.
        empty_share: Share of the images without a pseudo box.
    """

    recall: dict[float, float]
    precision: dict[float, float]
    category_recall: dict[str, dict[float, float]]
    num_images: int
    boxes_per_image: float
    empty_share: float


def match_boxes(boxes: np.ndarray, true_boxes: np.ndarray, threshold: float) -> np.ndarray:
    """Match one to one: each box, best first, takes the true box left over that it overlaps most.

    Args:
        boxes: (N, 4) half-open ``xyxy``, best first.
        true_boxes: (M, 4), likewise, in any order.
        threshold: Smallest IoU of a match, > 0.

    Returns:
        (M,) bool: whether each true box was found.
    """
    overlaps = pairwise_iou(boxes, true_boxes)
    found = np.zeros(len(true_boxes), bool)
    for row in overlaps if found.size else ():
        best = np.where(found, 0.0, row).argmax()
        if not found[best] and row[best] >= threshold:
            found[best] = True
    return found


def judge_boxes(boxes: Mapping[str, PseudoBoxes], truth: Mapping[str, TrueBoxes]) -> BoxQuality:
    """Compare the pseudo boxes of the images that have annotations with these.

    Args:
        boxes: Name of each image -> its pseudo boxes.
        truth: Name of each image -> its true boxes; an image without any counts, its pseudo boxes are all wrong.

    Raises:
        ValueError: If no image is in both.
    """
    truth = match_names(boxes, truth)
    names = [name for name in boxes if name in truth]
    found = {threshold: np.concatenate([match_boxes(boxes[name].boxes, truth[name].boxes, threshold)
                                        for name in names]) for threshold in IOU_THRESHOLDS}
    categories = np.array([category for name in names for category in truth[name].categories])
    counts = np.array([len(boxes[name].boxes) for name in names])
    return BoxQuality(
        recall={threshold: _share(hits.sum(), hits.size) for threshold, hits in found.items()},
        precision={threshold: _share(hits.sum(), counts.sum()) for threshold, hits in found.items()},
        category_recall={str(category): {threshold: float(hits[categories == category].mean())
                                         for threshold, hits in found.items()}
                         for category in np.unique(categories)},
        num_images=len(names), boxes_per_image=float(counts.mean()), empty_share=float((counts == 0).mean()))


def match_names(names: Collection[str], truth: Mapping[str, TrueBoxes]) -> dict[str, TrueBoxes]:
    """:func:`with_names_of`, and a refusal where nothing fits.

    Raises:
        ValueError: If no image is in both.
    """
    found = with_names_of(names, truth)
    if not any(name in found for name in names):
        raise ValueError(f'none of {len(names)} images of the store is among the {len(truth)} annotated ones: the '
                         f'store names its images like {next(iter(names), None)!r}, the annotations like '
                         f'{next(iter(truth), None)!r}; give annotations with the names of the store')
    return found


def with_names_of(names: Collection[str], truth: Mapping[str, TrueBoxes]) -> dict[str, TrueBoxes]:
    """Call annotated images as a store does, which knows no root.

    Absolute names lose the folder below which most of them are images of the store; backslashes and a leading ``./``
    are read as in a list of images.

    Args:
        names: Those of the store.
        truth: Name of each image -> its true boxes.
    """
    known = frozenset(names)
    plain = {name: name if name in known else PurePosixPath(name.replace('\\', '/')).as_posix() for name in truth}
    roots = Counter(root for name in plain.values() if name.startswith('/') for root in _roots(name, known))
    root = max(roots, key=lambda one: (roots[one], -len(one)), default='/')
    return {plain[name].removeprefix(root): boxes for name, boxes in truth.items()}


def _roots(name: str, known: Collection[str]) -> Iterator[str]:
    """The folders below which an absolute name is that of a known image, with a slash at their end."""
    place = name.find('/')
    while place >= 0:
        if name[place + 1:] in known:
            yield name[:place + 1]
        place = name.find('/', place + 1)


def read_true_boxes(path: str | Path) -> dict[str, TrueBoxes]:
    """Read the boxes of a COCO JSON; regions marked ``iscrowd`` are passed over.

    Returns:
        ``file_name`` -> its boxes, for every listed image.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no COCO JSON with boxes.
    """
    try:
        coco = json.loads(Path(path).read_text(encoding='utf-8'))
        names = {category['id']: category['name'] for category in coco['categories']}
        rows: dict[int, list[tuple[list[float], str]]] = {image['id']: [] for image in coco['images']}
        for annotation in coco['annotations']:
            if not annotation.get('iscrowd'):
                x, y, width, height = annotation['bbox']
                rows[annotation['image_id']].append(([x, y, x + width, y + height], names[annotation['category_id']]))
    except FileNotFoundError:
        raise FileNotFoundError(f'no annotations at {path}; give a COCO JSON') from None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f'{path} is no COCO JSON with "images", "annotations" and "categories" that fit together '
                         f'({type(error).__name__}: {error})') from error
    of_names: dict[str, list[tuple[list[float], str]]] = {}
    for image in coco['images']:  # merged files may list an image under several ids
        of_names.setdefault(image['file_name'], []).extend(rows[image['id']])
    return {name: TrueBoxes(np.array([box for box, _ in found], np.float64).reshape(-1, 4),
                            tuple(category for _, category in found))
            for name, found in of_names.items()}


def _share(part: int, whole: int) -> float:
    return float(part / whole) if whole else float('nan')
