"""What every teacher promises: images in, raw anomaly maps out."""
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch


class AnomalyMaps(NamedTuple):
    """Raw anomaly maps of one batch of B images.

    Attributes:
        maps: One (h, w) float32 array per image, on the teacher's own grid and covering the whole image;
            finite, >= 0, on the teacher's own scale, higher = more anomalous.
        scores: (B,) float32, one per image, higher = more anomalous.
    """

    maps: list[np.ndarray]
    scores: np.ndarray


class NoMapError(ValueError):
    """Raised by :meth:`Teacher.predict` for an image that has no usable map; such an image is skipped and listed."""


class Teacher(ABC):
    """Turns images into raw anomaly maps; knows neither the runner nor any detector.

    A teacher learns from pixels only: never from labels, file names or folder names. Calls with the same settings,
    fitted state, batch and thread count give the same maps bit for bit on one machine.
    """

    #: Raised whenever the same settings would give other maps: a map store of another version is refused.
    version: int
    #: Whether :meth:`fit` must run before :meth:`predict`.
    needs_fit: bool = False
    #: Divisor that brings raw values to [0, 1] with nothing fitted; ``None`` = calibrate on a sample of the images.
    calibration_scale: float | None = None
    #: Whether :meth:`predict` needs the declared source of every image, a list of names, as the argument ``sources``.
    uses_sources: bool = False
    #: Whether :meth:`predict` needs the name of every image below its root as the argument ``names``: only to look up
    #: what others computed for it, never to learn.
    uses_names: bool = False

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Constructor arguments that reproduce this teacher, as plain JSON values."""

    @property
    def source_files(self) -> Sequence[Path]:
        """Files beside the images that the maps depend on: weights, normal images, maps of others.

        A map store belongs to their content, so that maps of other content are not taken for its own. What the fitted
        state refuses itself need not be listed.
        """
        return ()

    @abstractmethod
    def predict(self, images: Sequence[np.ndarray]) -> AnomalyMaps:
        """Score one batch.

        Args:
            images: (H, W, 3) uint8 BGR arrays; sizes may differ within the batch.
        """

    def check_names(self, names: Sequence[str]) -> None:  # noqa: B027, most teachers take any names
        """Refuse a list of images before the first of them is read; for teachers that use their names.

        Args:
            names: Of all images.

        Raises:
            ValueError: If names leave open what belongs to which image.
        """

    def fit(self, images: Iterable[np.ndarray]) -> None:  # noqa: B027, to learn nothing is allowed
        """Learn from unlabelled images; a teacher that learns nothing keeps this default.

        Args:
            images: (H, W, 3) uint8 BGR arrays of any size; may be iterated several times, never held in memory whole.
                What offers ``described()``, an iterator of (image, facts), says which image each of them is, so that
                a teacher inside may be asked for maps by :func:`agssp_mm.teachers.asking.ask`. What offers
                ``cut(others)`` holds parts of images: a teacher with normal images of its own learns from such parts
                of these, see :func:`agssp_mm.teachers.normal_images.to_learn_from`.
        """

    def to(self, device: str | torch.device) -> Self:
        """Move tensors to a device; a teacher without tensors stays where it is."""
        return self

    def state_dict(self) -> dict[str, torch.Tensor]:
        """What :meth:`fit` learned, as plain tensors that load with ``weights_only=True``."""
        return {}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what :meth:`fit` learned.

        Raises:
            ValueError: If the state holds tensors this teacher does not know.
        """
        if state:
            raise ValueError(f'{type(self).__name__} learns nothing, but a state with {sorted(state)[:3]} was given; '
                             'use the state of the same teacher')
