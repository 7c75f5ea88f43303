"""Labelled images as COCO JSON."""
from collections.abc import Mapping, Sequence
from typing import Any

#: An image with its boxes: `file_name` relative to the root of the data set, `width` and `height` in pixels, and
#: `objects`: each a `category` and a `bbox` (x1, y1, x2, y2), half-open, in pixels; with masks also a COCO
#: `segmentation` and its `area`.
LabelledImage = dict[str, Any]
#: What was left out, and why: (file, reason).
Problem = tuple[str, str]


def build_coco(images: Sequence[LabelledImage], classes: Sequence[str], info: Mapping[str, Any]) -> dict[str, Any]:
    """Turn labelled images into COCO's form.

    Args:
        images: In the order to list them; those without objects become negatives.
        classes: Names, in the order of their ids, which count from 1.
        info: Goes under `info`.

    Returns:
        `info`, `images`, `annotations` with `bbox` in xywh and `area` in square pixels, `categories`.

    Raises:
        ValueError: If an object's category is none of the classes.
    """
    ids = {name: number for number, name in enumerate(classes, 1)}
    listed, annotations = [], []
    for image_id, image in enumerate(images, 1):
        listed.append(dict(id=image_id, file_name=image['file_name'], width=image['width'], height=image['height']))
        for one in image['objects']:
            check_category(one['category'], classes, image['file_name'])
            annotations.append(_annotation(len(annotations) + 1, image_id, ids[one['category']], one))
    return dict(info=dict(info), images=listed, annotations=annotations,
                categories=[dict(id=number, name=name) for name, number in ids.items()])


def check_category(name: str, classes: Sequence[str], where: str) -> None:
    """Refuse a class that the data set does not have.

    Raises:
        ValueError: Naming the file, the class and those that are allowed.
    """
    if name not in classes:
        raise ValueError(f'{where}: unknown class {name!r}; allowed are {", ".join(classes)}. Correct the annotation, '
                         'or leave the file out')


def clip_objects(image: LabelledImage, problems: list[Problem]) -> LabelledImage:
    """Cut boxes at the border of their image; drop and list those that keep no area.

    Args:
        image: Left as it is.
        problems: Extended by what was dropped.
    """
    kept = []
    for one in image['objects']:
        x1, y1, x2, y2 = one['bbox']
        box = (max(x1, 0), max(y1, 0), min(x2, image['width']), min(y2, image['height']))
        if box[2] > box[0] and box[3] > box[1]:
            kept.append({**one, 'bbox': box})
        else:
            problems.append((image['file_name'], f'box {tuple(one["bbox"])} of {one["category"]} covers nothing of the '
                                                 f'{image["width"]}x{image["height"]} image'))
    return {**image, 'objects': kept}


def _annotation(annotation_id: int, image_id: int, category_id: int, one: Mapping[str, Any]) -> dict[str, Any]:
    x1, y1, x2, y2 = (round(float(value), 2) for value in one['bbox'])
    bbox = [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)]
    entry = dict(id=annotation_id, image_id=image_id, category_id=category_id, iscrowd=0, bbox=bbox,
                 area=one.get('area', round(bbox[2] * bbox[3], 2)))
    if one.get('segmentation') is not None:
        entry['segmentation'] = one['segmentation']
    return entry
