"""Asking a teacher for maps: it is told what it declares to need, and one bad image does not spoil its batch."""
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .base import AnomalyMaps, NoMapError, Teacher


class Answer(NamedTuple):
    """Maps of those images of a batch that have one.

    Attributes:
        places: Their places in the batch, rising.
        maps: As of :class:`AnomalyMaps`, one for each of ``places``.
        scores: (len(places),) float32.
        refused: Place in the batch -> why there is no map.
    """

    places: list[int]
    maps: list[np.ndarray]
    scores: np.ndarray
    refused: dict[int, str]


class Facts(NamedTuple):
    """What may be told of an image beside its pixels."""

    source: str
    name: str


def described(images: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, Any]]:
    """Each image of a fit with its facts: empty ones where the images do not offer ``described()``."""
    if hasattr(images, 'described'):
        return images.described()
    return ((image, Facts('', '')) for image in images)


def ask(teacher: Teacher, images: Sequence[np.ndarray], facts: Sequence[Any]) -> AnomalyMaps:
    """Predict, with the sources and names of the images where the teacher uses them.

    Args:
        teacher: Whom to ask.
        images: (H, W, 3) uint8 BGR each.
        facts: What may be told beside the pixels, an object per image: ``source``, the declared part of the set, and
            ``name``, its POSIX path.
    """
    extra: dict[str, list[str]] = {}
    if teacher.uses_sources:
        extra['sources'] = [fact.source for fact in facts]
    if teacher.uses_names:
        extra['names'] = [fact.name for fact in facts]
    return teacher.predict(images, **extra)


def ask_for_each(teacher: Teacher, images: Sequence[np.ndarray], facts: Sequence[Any]) -> Answer:
    """The same, with the images that the teacher has no map for listed instead of raised."""
    if not images:
        return Answer([], [], np.zeros(0, np.float32), {})
    try:
        maps, scores = ask(teacher, images, facts)
        return Answer(list(range(len(images))), list(maps), np.asarray(scores, np.float32), {})
    except NoMapError as error:
        if len(images) == 1:
            return Answer([], [], np.zeros(0, np.float32), {0: str(error)})
    single = [ask_for_each(teacher, images[place:place + 1], facts[place:place + 1]) for place in range(len(images))]
    places = [place for place, answer in enumerate(single) if answer.places]
    return Answer(places, [single[place].maps[0] for place in places],
                  np.asarray([single[place].scores[0] for place in places], np.float32),
                  {place: answer.refused[0] for place, answer in enumerate(single) if answer.refused})
