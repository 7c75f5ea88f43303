"""The same maps boxed at a row of thresholds, so that a page can show what moving the threshold does."""
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from mmengine.registry import TASK_UTILS

from ...maps.boxes import BoxContext, BoxRule, PseudoBoxes
from ...maps.records import MapRecord
from ...maps.store import MapStore
from .problems import BORDER_PIXELS, warn_of_boxes

#: Settings that move how much is boxed, and which way: the first one that a rule has gets the slider.
_MOVABLE = ('threshold', 'offset')
_FACTORS = 2.0 ** (np.arange(-6, 7) / 2)
#: Upper ends of the bins of box sizes: square root of the box's share of the image.
SIZE_BINS = tuple(round(0.1 * number, 1) for number in range(1, 11))
#: Images with this many boxes or more are counted together.
MOST_BOXES = 10


class ThresholdStep(NamedTuple):
    """The boxes of a sample of images at one threshold.

    Attributes:
        value: The threshold; None for a rule that has none to move.
        line: Config line that sets it.
        boxes: Name of each image -> its boxes.
        per_image: How many images have 0, 1, ..., 10 or more boxes.
        sizes: How many boxes fall into each bin of ``SIZE_BINS``.
        warnings: What looks wrong, in words.
    """

    value: float | None
    line: str
    boxes: dict[str, PseudoBoxes]
    per_image: list[int]
    sizes: list[int]
    warnings: list[str]

    @property
    def num_boxes(self) -> int:
        return sum(len(found.boxes) for found in self.boxes.values())

    @property
    def num_empty(self) -> int:
        return self.per_image[0]


def threshold_values(rule: Mapping[str, Any]) -> tuple[str | None, list[float]]:
    """The setting that the slider moves, and its values: the rule's own in the middle, each 1.4 times the one before.

    Args:
        rule: Config of a box rule.
    """
    settings = TASK_UTILS.build(dict(rule)).settings
    name = next((name for name in _MOVABLE if isinstance(settings.get(name), float) and settings[name] > 0), None)
    if name is None:
        return None, []
    own = settings[name]
    return name, [own if factor == 1 else float(f'{own * factor:.3g}') for factor in _FACTORS]


def box_at(store: MapStore, rule: Mapping[str, Any], records: Sequence[MapRecord], name: str | None,
           value: float | None, maps: Mapping[str, np.ndarray]) -> ThresholdStep:
    """Box a sample of images at one threshold, by the rule itself.

    Args:
        store: Their store.
        rule: Config of the box rule.
        records: The sample.
        name: The setting to change; None changes nothing.
        value: Its value.
        maps: Name of each image -> its calibrated map.
    """
    config = dict(rule) if name is None else {**rule, name: value}
    made: BoxRule = TASK_UTILS.build(dict(config))
    contexts = {source: BoxContext(store.calibration, statistics) for source, statistics in store.statistics.items()}
    boxes = {record.name: made(maps[record.name], (record.height, record.width), contexts[record.source])
             for record in records}
    counts = np.array([len(found.boxes) for found in boxes.values()], np.int64)
    shares = [_shares(boxes[record.name].boxes, record) for record in records]
    sizes = np.concatenate([np.sqrt(share) for share in shares] or [np.zeros(0)])
    bins = np.minimum(np.searchsorted(SIZE_BINS, sizes), len(SIZE_BINS) - 1)
    covered = np.array([min(1.0, share.sum()) for share in shares])
    at_border = sum(int(_touches(boxes[record.name].boxes, record).sum()) for record in records)
    return ThresholdStep(
        value, config_line(config), boxes,
        np.bincount(np.minimum(counts, MOST_BOXES), minlength=MOST_BOXES + 1).tolist(),
        np.bincount(bins, minlength=len(SIZE_BINS)).tolist(), warn_of_boxes(counts, covered, at_border))


def config_line(rule: Mapping[str, Any]) -> str:
    """How a rule is written in the data set of a config: ``rule=dict(type='PaperBoxRule', offset=0.1)``."""
    return f'rule=dict({", ".join(f"{name}={value!r}" for name, value in rule.items())})'


def _shares(boxes: np.ndarray, record: MapRecord) -> np.ndarray:
    """Share of the image that each box covers."""
    return (boxes[:, 2:] - boxes[:, :2]).astype(np.float64).prod(1) / (record.height * record.width)


def _touches(boxes: np.ndarray, record: MapRecord) -> np.ndarray:
    """Which boxes reach the border of the image."""
    near = boxes[:, :2] < BORDER_PIXELS, boxes[:, 2:] > np.array([record.width, record.height]) - BORDER_PIXELS
    return np.asarray(np.concatenate(near, axis=1).any(axis=1))
