"""The order in which images are worked through: by content, fixed before the first map is made."""
import json
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from ..files import write_atomically
from ..images import ImageEntry, ImageList, content_key
from .store import PLAN_NAME


class PlannedImage(NamedTuple):
    """One image to be scored: its content key, its name below the root and its source."""

    key: str
    name: str
    source: str


def make_plan(images: ImageList, store_path: Path, seed: int) -> list[PlannedImage]:
    """Sort the images by content key and keep the order in the store; files that cannot be opened come last.

    Batches are cut from this order, so a resumed run, or one on more ranks, sees the same batches.
    """
    path = store_path / PLAN_NAME
    if path.is_file():
        return read_plan(path)
    with ThreadPoolExecutor(8) as pool:
        keys = tqdm(pool.map(lambda entry: _key_or_last(images, entry, seed), images), total=len(images),
                    desc='reading the list', unit='image', disable=None)
        plan = sorted(PlannedImage(key, entry.name, entry.source) for key, entry in zip(keys, images, strict=True))
    with write_atomically(path) as file:
        file.writelines(json.dumps(planned).encode() + b'\n' for planned in plan)
    return plan


def read_plan(path: Path) -> list[PlannedImage]:
    """Read a plan back."""
    return [PlannedImage(*json.loads(line)) for line in path.read_text(encoding='utf-8').splitlines()]


def sample_plan(plan: list[PlannedImage], number: int, seed: int) -> list[PlannedImage]:
    """A seeded sample of at most ``number`` images, in the order of the plan; names play no part in it."""
    if len(plan) <= number:
        return plan
    return [plan[index] for index in sorted(random.Random(seed).sample(range(len(plan)), number))]


def _key_or_last(images: ImageList, entry: ImageEntry, seed: int) -> str:
    try:
        return content_key(images.path(entry), seed)
    except OSError:
        return 'unreadable'  # sorts behind every hexadecimal key; the reason is found and listed when it is decoded
