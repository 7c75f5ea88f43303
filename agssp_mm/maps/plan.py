"""The order in which images are worked through: by content, fixed before the first map is made."""
import json
import logging
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mmengine.logging import print_log
from tqdm import tqdm

from ..files import write_atomically
from ..images import ImageList, content_key
from .store import PLAN_NAME

#: Of how many images the content is compared before a store is continued or used.
CHECKED_IMAGES = 64
#: In place of the content key of a file that cannot be opened.
UNREADABLE = 'unreadable'
_SLICE = 4096


class PlannedImage(NamedTuple):
    """One image to be scored: its content key, its name below the root and its source."""

    key: str
    name: str
    source: str


def make_plan(images: ImageList, store_path: Path, seed: int) -> list[PlannedImage]:
    """Sort the images by content key and keep the order in the store; files that cannot be opened come last.

    Batches are cut from this order, so a resumed run, or one on more ranks, sees the same batches. A plan that a run
    left behind before it had written ``maps.json`` is made anew: nothing says that it was made of the same list.
    """
    path = store_path / PLAN_NAME
    plan = sorted(PlannedImage(key, entry.name, entry.source)
                  for key, entry in zip(_keys(images, seed), images, strict=True))
    with write_atomically(path) as file:
        file.writelines(json.dumps(planned).encode() + b'\n' for planned in plan)
    return plan


def read_plan(path: Path) -> list[PlannedImage]:
    """Read a plan back."""
    return [PlannedImage(*json.loads(line)) for line in path.read_text(encoding='utf-8').splitlines()]


def check_content(images: Sequence[tuple[str, Path]], seed: int, store_path: str | Path) -> None:
    """Compare a sample of images with what they were when their maps were made.

    Names like 000001.png are everywhere, so that equal names do not mean equal images. Single files may have been
    replaced or gone bad, which is a warning; files that are missing are found by whoever reads them.

    Args:
        images: Content key and path of each image.
        seed: Seed of the keys.
        store_path: The map store, for messages.

    Raises:
        ValueError: If more than half of the sample holds something else now.
    """
    sample = [one for one in images[::max(1, len(images) // CHECKED_IMAGES)] if one[0] != UNREADABLE]
    changed = []
    for key, path in sample:
        with suppress(OSError):
            if content_key(path, seed) != key:
                changed.append(str(path))
    found = f'{len(changed)} of {len(sample)} images that were compared hold something else than when the maps of ' \
            f'{store_path} were made, e.g. {changed[:3]}'
    if 2 * len(changed) > len(sample):
        raise ValueError(f'{found}: they are other images of the same names; make a map store of their own for them')
    if changed:
        print_log(f'{found}; their maps are kept: generate a new store where that matters', 'current',
                  logging.WARNING)


def sample_plan(plan: list[PlannedImage], number: int, seed: int) -> list[PlannedImage]:
    """A seeded sample of at most ``number`` images, in the order of the plan; names play no part in it."""
    if len(plan) <= number:
        return plan
    return [plan[index] for index in sorted(random.Random(seed).sample(range(len(plan)), number))]


def _keys(images: ImageList, seed: int) -> Iterator[str]:
    with ThreadPoolExecutor(8) as pool, tqdm(total=len(images), desc='reading the list', unit='image',
                                             disable=None) as progress:
        # In slices: an executor's map makes a task of every image at once, of which a million fill memory.
        for start in range(0, len(images), _SLICE):
            for key in pool.map(lambda entry: key_or_last(images.path(entry), seed), images[start:start + _SLICE]):
                yield key
                progress.update()


def key_or_last(path: Path, seed: int) -> str:
    """Content key of an image as it stands in a plan: :data:`UNREADABLE` where the file cannot be opened."""
    try:
        return content_key(path, seed)
    except OSError:
        return UNREADABLE  # sorts behind every hexadecimal key; the reason is found and listed when it is decoded
