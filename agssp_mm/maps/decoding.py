"""Decoding the images of a plan: a little ahead of who needs them, in memory bounded by pixels, not by images."""
import errno
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from mmengine.dist import get_world_size
from tqdm import tqdm

from ..images import UnreadableImageError, ValueScaling, read_image
from .plan import UNREADABLE, PlannedImage

#: Pixels of the images that a teacher gets at once: larger batches are cut, so that huge images do not fill memory.
BATCH_PIXELS = 1 << 26
_AHEAD_PIXELS = 1 << 25
_THREADS = 8  # at most; decoding lets go of Python's lock
_TOGETHER = 8
#: Seconds to wait before an image is read again that a disk or network share could not give.
RETRIES = (0.1, 1.0)
_PASSING = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EBUSY, errno.EREMOTEIO, errno.ENETDOWN,
            errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ECONNRESET, errno.ECONNABORTED)

_Image = TypeVar('_Image')


def read_patiently(read: Callable[[], _Image]) -> _Image:
    """Read an image; what a disk or network share cannot give is asked for again, after each of :data:`RETRIES`."""
    for seconds in RETRIES:
        try:
            return read()
        except OSError as error:
            if error.errno not in _PASSING:
                raise
        time.sleep(seconds)
    return read()


class ImageReader:
    """Reads planned images, their grey values scaled as the store says; faults that pass are waited for.

    Args:
        root: Root of the image names.
        scaling: Ranges of the grey values of deep images.
    """

    def __init__(self, root: Path, scaling: ValueScaling):
        self.root, self.scaling = root, scaling

    def __call__(self, planned: PlannedImage) -> np.ndarray:
        """(H, W, 3) uint8 BGR; errors as of :func:`agssp_mm.images.read_image`."""
        return read_patiently(lambda: read_image(self.root / planned.name, self.scaling.of(planned.source)))


def most_lost(num_images: int) -> int:
    """How many images may be lost to faulty sectors and the like, before it is rather the disk or network."""
    return min(max(10, num_images // 100), 1000)


class NoPixels(NamedTuple):
    """What stands in place of an image that could not be read.

    Attributes:
        reason: Why.
        is_lost: The file could be opened when the plan was made, and cannot be any more: disk or network, not content.
    """

    reason: str
    is_lost: bool = False


class DecodedBatch(NamedTuple):
    """A part of one planned batch.

    Attributes:
        planned: The images that could be read.
        images: Their pixels, (H, W, 3) uint8 BGR each.
        skipped: Name of each image that could not be read, with the reason.
        lost: Those of them that could be opened when the plan was made.
        number: How many images of the plan this stands for.
    """

    planned: list[PlannedImage]
    images: list[np.ndarray]
    skipped: dict[str, str]
    lost: set[str]

    @property
    def number(self) -> int:
        return len(self.planned) + len(self.skipped)


def decode_batches(batches: Sequence[Sequence[PlannedImage]], reader: ImageReader) -> Iterator[DecodedBatch]:
    """Decode batch after batch; those of more than :data:`BATCH_PIXELS` pixels come in parts.

    Where a batch is cut depends on its own images alone, so a resumed run sees the same parts.
    """
    part, pixels, current = DecodedBatch([], [], {}, set()), 0, 0
    for place, planned, found in _decode_ahead(batches, reader):
        outcome = _no_pixels(planned, found, reader.root) if isinstance(found, Exception) else found
        size = 0 if isinstance(outcome, NoPixels) else outcome.shape[0] * outcome.shape[1]
        if part.number and (place != current or part.images and pixels + size > BATCH_PIXELS):
            yield part
            part, pixels = DecodedBatch([], [], {}, set()), 0
        current = place
        if isinstance(outcome, NoPixels):
            part.skipped[planned.name] = outcome.reason
            part.lost.update([planned.name] if outcome.is_lost else [])
        else:
            part.planned.append(planned)
            part.images.append(outcome)
            pixels += size
        del outcome, found
    if part.number:
        yield part


def _decode_ahead(batches: Sequence[Sequence[PlannedImage]], read: Callable[[PlannedImage], np.ndarray],
                  ) -> Iterator[tuple[int, PlannedImage, np.ndarray | OSError | UnreadableImageError]]:
    """Place of the batch, image, and its pixels or why there are none."""
    most = 2 * max(map(len, batches), default=1)
    ahead, largest = 1, 1  # nothing is known of the sizes yet
    waiting: deque[tuple[int, PlannedImage, Future]] = deque()
    with ThreadPoolExecutor(max(2, min(_THREADS, (os.cpu_count() or 1) // get_world_size()))) as pool:
        for place, planned in ((place, planned) for place, batch in enumerate(batches) for planned in batch):
            waiting.append((place, planned, pool.submit(read, planned)))
            while len(waiting) > ahead:
                found = _result(*waiting.popleft())
                largest = max(largest, getattr(found[2], 'size', 0) // 3)
                ahead = min(most, max(1, _AHEAD_PIXELS // largest))
                yield found
                del found
        while waiting:
            yield _result(*waiting.popleft())


def _result(place: int, planned: PlannedImage,
            future: Future) -> tuple[int, PlannedImage, np.ndarray | OSError | UnreadableImageError]:
    try:
        return place, planned, future.result()
    except (OSError, UnreadableImageError) as error:
        return place, planned, error


def _no_pixels(planned: PlannedImage, error: Exception, root: Path) -> NoPixels:
    reason = f'the file does not exist below {root}' if isinstance(error, FileNotFoundError) else str(error)
    return NoPixels(reason, isinstance(error, OSError) and planned.key != UNREADABLE)


class ReadableImages:
    """The images of a plan that can be read, decoded anew at each iteration: what a teacher is fitted on.

    Args:
        plan: The images, in the order to yield them.
        read: Reads one of them.
        purpose: What the progress bar says is going on.

    Attributes:
        num_read: How many images were read so far, over all iterations.
        first_fault: Why the first image that could not be read could not be; empty so far.
    """

    def __init__(self, plan: Sequence[PlannedImage], read: Callable[[PlannedImage], np.ndarray], purpose: str):
        self.plan, self.read, self.purpose = plan, read, purpose
        self.num_read, self.first_fault = 0, ''

    def __len__(self) -> int:
        return len(self.plan)

    def __iter__(self) -> Iterator[np.ndarray]:
        for image, _ in self.described():
            yield image

    def described(self) -> Iterator[tuple[np.ndarray, PlannedImage]]:
        """The same images, each with its source and name."""
        batches = [self.plan[start:start + _TOGETHER] for start in range(0, len(self.plan), _TOGETHER)]
        for _, planned, found in tqdm(_decode_ahead(batches, self.read), self.purpose, len(self.plan), unit='image',
                                      disable=None):
            if isinstance(found, Exception):
                logging.getLogger(__name__).debug('left out: %s', found)
                self.first_fault = self.first_fault or f'{planned.name}: {found}'
                continue
            self.num_read += 1
            yield found, planned
