"""How the stages read images: with the grey values that the teacher saw."""
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..images import ImageList, ValueRange, list_images
from ..maps.prepare import StoreSettings
from ..maps.store import MapStore

PLAIN_LOADER = dict(type='LoadImageFromFile')


def choose_loader(images: ImageList, store: str | Path, is_made: bool, value_range: ValueRange | None = None,
                  value_percentiles: ValueRange | None = None) -> dict[str, Any]:
    """The transform that reads the images of all stages: MMDetection's own unless it reads others than the teacher.

    It does where grey values are scaled by a range, and where WebP files say how they are to be turned.

    Args:
        images: The unlabelled images.
        store: Folder of their map store.
        is_made: The store is there; what it recorded counts.
        value_range: Grey values of deep images that become 0 and 255.
        value_percentiles: Percentiles that this range is measured by, when the store is made.

    Returns:
        Config of the transform. A range that is known stands in it, so that the fine-tuning needs no store; one that
        is measured is taken from the store.

    Raises:
        FileNotFoundError: If there is to be a store and is none.
        ValueError: If the range or the percentiles cannot be, or are not those that the store was made with.
    """
    StoreSettings(value_range=value_range, value_percentiles=value_percentiles).check()
    if is_made:
        meta = MapStore.open(store).meta
        for name, given in dict(value_range=value_range, value_percentiles=value_percentiles).items():
            if given and list(given) != meta.get(name):
                raise ValueError(f'{name}: {tuple(given)} was given, but the maps in {store} were made with '
                                 f'{meta.get(name)}; leave it out, the store knows, or have new maps made')
        value_range, value_percentiles = meta.get('value_range'), meta.get('value_percentiles')
    if value_range:
        return dict(type='LoadIndustrialImage', value_range=tuple(value_range))
    if value_percentiles:
        return dict(type='LoadIndustrialImage', store=str(store), image_root=str(images.root))
    if any(entry.name.lower().endswith('.webp') for entry in images):
        return dict(type='LoadIndustrialImage')  # OpenCV passes over their EXIF orientation, unlike that of others
    return dict(PLAIN_LOADER)


def check_labelled(loader: Mapping[str, Any], images: ImageList, annotations: str | Path, folder: str | Path) -> None:
    """See whether the range of labelled images can be told.

    Where percentiles were measured for each of several sources, an image outside the unlabelled set has no range: it is
    not known which source it belongs to.

    Args:
        loader: As :func:`choose_loader` gave it.
        images: The unlabelled images.
        annotations: COCO file of the labelled ones.
        folder: Folder that its names are relative to.

    Raises:
        ValueError: If it cannot.
    """
    if 'store' not in loader or len(images.sources) == 1:
        return
    known = {entry.name for entry in images}
    labelled = list_images(annotations, folder)
    outside = [entry.name for entry in labelled
               if Path(os.path.relpath(labelled.path(entry), images.root)).as_posix() not in known]
    if outside:
        raise ValueError(f'annotations: {len(outside)} of {len(labelled)} images of {annotations} are not among the '
                         f'unlabelled ones, e.g. {outside[:3]}. Percentiles are measured for each of the sources '
                         f'{list(images.sources)}, and which of them these images belong to is not known; give '
                         'value_range in place of value_percentiles, or leave annotations out')
