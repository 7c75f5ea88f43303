"""Asking a teacher for maps: it is told what it declares to need, and one bad image does not spoil its batch."""
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from .base import AnomalyMaps, NoMapError, Teacher


class ImageFacts(Protocol):
    """What a teacher may be told of an image beside its pixels."""

    @property
    def source(self) -> str:
        """The declared part of the set."""

    @property
    def name(self) -> str:
        """The POSIX path below the root."""


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


def ask(teacher: Teacher, images: Sequence[np.ndarray], facts: Sequence[ImageFacts]) -> AnomalyMaps:
    """Predict, with the sources and names of the images where the teacher uses them."""
    extra: dict[str, list[str]] = {}
    if teacher.uses_sources:
        extra['sources'] = [fact.source for fact in facts]
    if teacher.uses_names:
        extra['names'] = [fact.name for fact in facts]
    return teacher.predict(images, **extra)


def ask_for_each(teacher: Teacher, images: Sequence[np.ndarray], facts: Sequence[ImageFacts]) -> Answer:
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
