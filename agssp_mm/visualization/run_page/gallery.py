"""The images that a page shows, and the sample that its numbers come from."""
import base64
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from ...images import UnreadableImageError, read_image
from ...maps.box_quality import TrueBoxes
from ...maps.records import MapRecord
from ...maps.store import MapStore
from ..overlays import overlay_map
from .thresholds import ThresholdStep, box_at, threshold_values

#: Longer side of the embedded pictures in pixels, and their JPEG quality.
_SIDE, _QUALITY = 360, 82
_GREY = 128


@dataclass
class Gallery:
    """Maps and boxes of a store, as a page shows them.

    Attributes:
        num_images: Images in the store.
        num_sampled: Images that the numbers about boxes come from.
        parameter: The setting that the slider moves; None for a rule without.
        steps: The sample boxed at every threshold.
        own_step: Which of them is the rule as configured.
        cards: Plain JSON per shown image: ``name``, ``width``, ``height``, ``score``, ``peak``, ``source``, ``image``
            and ``overlay`` (data URIs; no ``image`` where the file is gone), ``boxes`` (per step, ``[x1, y1, x2, y2,
            score]`` each), ``truth`` (``[x1, y1, x2, y2, category]`` each).
        orders: Sorting -> indices of the cards.
        gone: Names of sampled images that cannot be read any more, with the reason.
        lost_maps: Names of sampled images whose map cannot be read any more.
    """

    num_images: int
    num_sampled: int
    parameter: str | None
    steps: list[ThresholdStep]
    own_step: int
    cards: list[dict[str, Any]]
    orders: dict[str, list[int]]
    gone: dict[str, str]
    lost_maps: list[str]


def make_gallery(store: MapStore, image_root: Path | None, rule: Mapping[str, Any], truth: Mapping[str, TrueBoxes],
                 num_sampled: int, per_order: int, seed: int) -> Gallery:
    """Choose images, box them at every threshold, and draw them.

    Scores are compared over the whole store; what needs boxes is taken from a seeded sample.

    Args:
        store: A finished map store.
        image_root: Folder that the image names are relative to; None shows maps without their images.
        rule: Config of the box rule.
        truth: True boxes, for those images that have any.
        num_sampled: Images to box.
        per_order: Images to show per sorting.
        seed: Picks the sample.
    """
    index = store.index
    by_score = sorted(range(len(index)), key=lambda place: index[place].score)
    ends = [*by_score[::-1][:per_order], *by_score[:per_order]]
    drawn = random.Random(seed).sample(range(len(index)), min(num_sampled, len(index)))
    maps, lost = _read_maps(store, [index[place] for place in dict.fromkeys([*ends, *drawn])])
    shown = [index[place] for place in ends if index[place].name in maps]
    sample = [index[place] for place in drawn if index[place].name in maps]
    name, values = threshold_values(rule)
    steps_at: Sequence[float | None] = values or [None]
    in_sample = set(sample)
    extra = [record for record in dict.fromkeys(shown) if record not in in_sample]
    steps, edge_steps = [], []
    for value in tqdm(steps_at, desc='boxes per threshold', unit='threshold', disable=None):
        steps.append(box_at(store, rule, sample, name, value, maps))
        edge_steps.append(box_at(store, rule, extra, name, value, maps))
    own = len(values) // 2
    boxes = [{**one.boxes, **other.boxes} for one, other in zip(steps, edge_steps, strict=True)]
    orders = _orders(shown, sample, boxes[own], per_order)
    chosen = list(dict.fromkeys(record for order in orders.values() for record in order))
    gone: dict[str, str] = {}
    cards = [_card(record, maps[record.name], image_root, store, boxes, truth.get(record.name), gone)
             for record in tqdm(chosen, desc='pictures', unit='image', disable=None)]
    places = {record: place for place, record in enumerate(chosen)}
    return Gallery(len(index), len(sample), name, steps, own, cards,
                   {order: [places[record] for record in records] for order, records in orders.items()}, gone, lost)


def _read_maps(store: MapStore, records: Sequence[MapRecord]) -> tuple[dict[str, np.ndarray], list[str]]:
    maps, lost = {}, []
    for record in records:
        try:
            maps[record.name] = store.read(record.name)
        except (KeyError, ValueError):
            lost.append(record.name)
    return maps, lost


def _orders(shown: Sequence[MapRecord], sample: Sequence[MapRecord], boxes: Mapping[str, Any],
            number: int) -> dict[str, list[MapRecord]]:
    by_score = sorted(dict.fromkeys(shown), key=lambda record: -record.score)
    by_count = sorted(sample, key=lambda record: (-len(boxes[record.name].boxes), -record.score))
    return dict(highest=by_score[:number], lowest=by_score[::-1][:number], random=list(sample[:number]),
                most=by_count[:number], fewest=by_count[::-1][:number])


def _card(record: MapRecord, anomaly_map: np.ndarray, image_root: Path | None, store: MapStore,
          boxes: Sequence[Mapping[str, Any]], truth: TrueBoxes | None, gone: dict[str, str]) -> dict[str, Any]:
    scale = min(1.0, _SIDE / max(record.height, record.width))
    size = (max(1, round(record.width * scale)), max(1, round(record.height * scale)))
    image = None
    try:
        if image_root is not None:
            image = read_image(image_root / record.name, store.scaling.of(record.source))
    except FileNotFoundError:
        gone[record.name] = 'the file is gone'
    except (OSError, UnreadableImageError) as error:
        gone[record.name] = str(error)
    shrunk = None if image is None else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    under = np.full((size[1], size[0], 3), _GREY, np.uint8) if shrunk is None else shrunk
    return dict(name=record.name, source=record.source, width=record.width, height=record.height,
                score=round(record.score, 4), peak=round(float(anomaly_map.max()), 4),
                image=None if shrunk is None else data_uri(shrunk),
                overlay=data_uri(overlay_map(under, anomaly_map, 0.55 if shrunk is not None else 1.0)),
                boxes=[_plain(step[record.name]) for step in boxes], truth=plain_truth(truth))


def _plain(found: Any) -> list[list[float]]:
    return [[*(round(float(value), 1) for value in box), round(float(score), 3)]
            for box, score in zip(found.boxes, found.scores, strict=True)]


def plain_truth(truth: TrueBoxes | None) -> list[list[Any]]:
    """True boxes as plain JSON: ``[x1, y1, x2, y2, category]`` each."""
    if truth is None:
        return []
    return [[*map(float, box.round(1)), category] for box, category in zip(truth.boxes, truth.categories, strict=True)]


def data_uri(image: np.ndarray) -> str:
    """(H, W, 3) uint8 BGR as a JPEG that stands in the page itself."""
    data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
    return f'data:image/jpeg;base64,{base64.b64encode(data).decode()}'
