"""What MMDetection stops at in a COCO file, or passes over without a word."""
import logging
import math
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from .labels import read_part

_logger = logging.getLogger(__name__)
_OF_IMAGES, _OF_BOXES = ('id', 'file_name', 'height', 'width'), ('id', 'image_id', 'category_id', 'bbox', 'area')


def check_labels(annotations: str | Path, is_measured_on: bool = False) -> None:
    """Refuse a COCO file that MMDetection cannot read, or of which it would leave out labels that were meant.

    ``CocoDataset`` raises a bare ``KeyError`` for entries that lack something, and passes over boxes of an area of 0,
    of unknown images and of unknown categories. Boxes that no detector could learn from are allowed and counted in a
    warning: those below 1 pixel wide or high, and those outside their image.

    Args:
        annotations: The file.
        is_measured_on: pycocotools is to measure on it: every box needs an ``iscrowd`` and an id that is a number.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no COCO file, entries lack something or share an id, sizes or boxes are no numbers, or
            no box would be left.
    """
    images, boxes, categories = (read_part(annotations, name) for name in ('images', 'annotations', 'categories'))
    _check_entries(annotations, 'images', images, _OF_IMAGES)
    _check_entries(annotations, 'boxes', boxes, (*_OF_BOXES, *(['iscrowd'] if is_measured_on else [])))
    _check_entries(annotations, 'categories', categories, ('id', 'name'))
    _refuse(annotations, 'categories', categories, lambda category: not isinstance(category['name'], str),
            'a "name" that is no text', 'put it in quotes')
    _refuse(annotations, 'images', images, _has_no_size, 'a height and width that are no positive numbers',
            'write the size of the image in pixels')
    _refuse(annotations, 'boxes', boxes, _is_no_box, 'a "bbox" that is not four numbers [x, y, width, height], or an '
            '"area" that is no number', 'repair them')
    if is_measured_on:
        _check_measurable(annotations, boxes)
    sizes = {image['id']: (image['width'], image['height']) for image in images}
    known = {category['id'] for category in categories}
    _refuse(annotations, 'boxes', boxes, lambda box: not _is_among(box['image_id'], sizes),
            'an "image_id" that no image has', 'bring the images back, or take the boxes out')
    _refuse(annotations, 'boxes', boxes, lambda box: not _is_among(box['category_id'], known),
            'a "category_id" that no category has', 'list its category, or take the boxes out')
    used = [box for box in boxes if not box.get('ignore')]
    _refuse(annotations, 'boxes', used, lambda box: box['area'] <= 0 and min(box['bbox'][2:]) >= 1, 'an "area" of 0 or '
            'less, and MMDetection would leave them out', 'set it to width times height, or to the area of the outline')
    lost = [box['id'] for box in used if _is_beyond(box, *sizes[box['image_id']])]
    if not boxes:
        raise ValueError(f'annotations: {annotations} has no boxes; label some defects in it, or give another file')
    if len(lost) == len(used):
        raise ValueError(f'annotations: none of the {len(boxes)} boxes of {annotations} can be used: {len(lost)} lie '
                         'outside their image or are below 1 pixel wide or high (boxes are [x, y, width, height] in '
                         f'pixels, and images have the height and width of their files), {len(boxes) - len(used)} '
                         'are marked "ignore"')
    if lost:
        _logger.warning('annotations: %d of %d boxes of %s lie outside their images or are below 1 pixel wide or high, '
                        'e.g. those of the ids %s; MMDetection leaves them out', len(lost), len(used), annotations,
                        lost[:3])


def _check_measurable(path: str | Path, boxes: list) -> None:
    _refuse(path, 'boxes', boxes, lambda box: box['iscrowd'] not in (0, 1), 'an "iscrowd" that is neither 0 nor 1',
            'write 0, or 1 for regions that hold many defects')
    _refuse(path, 'boxes', boxes, lambda box: not _is_numeric(box['id']), 'an id that is no number, and cannot be '
            'measured on', 'number the boxes from 1')
    if any(float(box['id']) == 0 for box in boxes):
        _logger.warning('annotations: a box of %s has the id 0, which pycocotools takes for "not found", however well '
                        'it is found; number the boxes from 1 to have it counted', path)


def _check_entries(path: str | Path, what: str, entries: list, needed: Iterable[str]) -> None:
    """Each is a mapping with these, and an id of its own."""
    if not all(isinstance(entry, Mapping) for entry in entries):
        raise ValueError(f'annotations: {path} is not a COCO JSON: some of its {what} are not {{"id": ..., ...}}')
    for key in needed:
        bare = [place for place, entry in enumerate(entries) if key not in entry]
        if bare:
            raise ValueError(f'annotations: {len(bare)} of {len(entries)} {what} of {path} have no "{key}", e.g. the '
                             f'ones at the places {bare[:3]} of the list; MMDetection needs {", ".join(needed)} of '
                             'each')
    try:
        double = [key for key, number in Counter(entry['id'] for entry in entries).items() if number > 1]
    except TypeError as error:
        raise ValueError(f'annotations: some ids of the {what} of {path} are no numbers ({error})') from error
    if double:
        raise ValueError(f'annotations: {len(double)} ids of the {what} of {path} are there more than once, e.g. '
                         f'{double[:3]}; give each its own id (merged files have to be numbered anew)')


def _refuse(path: str | Path, what: str, entries: list, is_bad: Callable[[Mapping[str, Any]], bool], fault: str,
            help_: str) -> None:
    bad = [entry['id'] for entry in entries if is_bad(entry)]
    if bad:
        raise ValueError(f'annotations: {len(bad)} of {len(entries)} {what} of {path} have {fault}, e.g. those of the '
                         f'ids {bad[:3]}; {help_}')


def _is_among(value: Any, known: Container) -> bool:
    try:
        return value in known
    except TypeError:  # a list
        return False


def _is_numeric(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError):
        return False


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _has_no_size(image: Mapping[str, Any]) -> bool:
    return not all(_is_number(image[side]) and image[side] > 0 for side in ('height', 'width'))


def _is_no_box(box: Mapping[str, Any]) -> bool:
    values = box['bbox']
    return not (isinstance(values, list) and len(values) == 4 and all(map(_is_number, values))
                and _is_number(box['area']))


def _is_beyond(box: Mapping[str, Any], image_width: float, image_height: float) -> bool:
    x, y, width, height = box['bbox']
    is_outside = min(x + width, image_width) <= max(x, 0) or min(y + height, image_height) <= max(y, 0)
    return width < 1 or height < 1 or is_outside
