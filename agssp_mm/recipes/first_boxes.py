"""The pseudo boxes of the first round of AGDP, made as soon as there are maps."""
from pathlib import Path

from ..engine.launch import load_config
from ..engine.next_round import inner_dataset
from ..images import ImageList
from ..maps.box_cache import load_or_make_boxes
from ..maps.from_config import build_rule
from ..maps.store import MapStore


def make_first_boxes(path: str | Path, images: ImageList) -> int | None:
    """Make the boxes that stage 2 trains on, where a rule makes them; the training finds them in the store.

    Without this a rule that finds nothing would be noticed only after stage 1, which may take days.

    Args:
        path: Config of stage 2, edited or not.
        images: The unlabelled images.

    Returns:
        Number of boxes in these images; None where the config has no rule.

    Raises:
        ValueError: If there is no box in any image, or the config has another rule than can be built.
    """
    dataset = inner_dataset(load_config(path))
    if not (dataset.get('rule') and dataset.get('store')):
        return None
    found = load_or_make_boxes(MapStore.open(dataset.store), build_rule(dataset.rule))
    count = sum(len(found[entry.name].boxes) for entry in images if entry.name in found)
    if not count:
        raise ValueError(f'rule: {dict(dataset.rule)} finds no pseudo box in any of {len(images)} images; lower its '
                         f'threshold in {path}, or look at the maps in {dataset.store}')
    return count


def check_maps_of(images: ImageList, store: str | Path) -> None:
    """Refuse a finished map store that does not cover the images.

    Raises:
        FileNotFoundError: If there is no store.
        ValueError: If an image has no map and is not listed as skipped, or the store is not finished.
    """
    maps = MapStore.open(store)
    missing = maps.not_covered(entry.name for entry in images)
    if missing:
        example = f' (it names its images like {maps.index[0].name!r})' if len(maps.index) else ''
        raise ValueError(f'maps: {len(missing)} of {len(images)} images have no map in {store}, e.g. {missing[:3]}'
                         f'{example}; give the root that it was made with, or a store of these images')
