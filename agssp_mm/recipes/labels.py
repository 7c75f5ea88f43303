"""The classes of a labelled data set."""
import json
import logging
from pathlib import Path

from PIL import Image

from ..images import UnreadableImageError
from .image_sizes import read_size

_logger = logging.getLogger(__name__)


def read_classes(annotations: str | Path) -> tuple[str, ...]:
    """Names of the categories of a COCO file, in the file's own order; nothing else of it is used.

    MMDetection counts labels along this order, whatever the ids and the order of ``metainfo['classes']``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no COCO file, or has no categories.
    """
    try:
        names = tuple(str(one['name']) for one in read_part(annotations, 'categories'))
    except (KeyError, TypeError) as error:
        raise ValueError(f'annotations: {annotations} is not a COCO JSON with "categories" '
                         f'({type(error).__name__}: {error})') from error
    if not names:
        raise ValueError(f'annotations: {annotations} has no categories')
    return names


def check_same_classes(annotations: str | Path, val_annotations: str | Path) -> None:
    """Refuse files whose labels MMDetection would count differently.

    Raises:
        FileNotFoundError: If one of them does not exist.
        ValueError: If they do not list the same categories in the same order, or one is no COCO file.
    """
    classes, others = read_classes(annotations), read_classes(val_annotations)
    if others != classes:
        raise ValueError(f'val_annotations: {val_annotations} lists the categories {list(others)}, {annotations} '
                         f'{list(classes)}; labels follow the order in each file, so list the same categories in the '
                         'same order in both (those without a box too)')


def count_images(annotations: str | Path) -> int:
    """Number of images of a COCO file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no COCO file, or has no images.
    """
    number = len(read_part(annotations, 'images'))
    if not number:
        raise ValueError(f'annotations: {annotations} has no images')
    return number


def check_images(annotations: str | Path, folder: str | Path) -> None:
    """Refuse a COCO file of whose images any is missing: MMDetection would stop at it, in the middle of a training.

    Args:
        annotations: The file.
        folder: That its ``file_name`` are relative to.

    Raises:
        FileNotFoundError: If there is no such file, or an image is missing.
        ValueError: If it is no COCO file.
    """
    try:
        paths = [Path(folder) / image['file_name'] for image in read_part(annotations, 'images')]
    except (KeyError, TypeError) as error:
        raise ValueError(f'annotations: {annotations} is not a COCO JSON whose images have a "file_name" '
                         f'({type(error).__name__}: {error})') from error
    missing = [str(path) for path in paths if not path.is_file()]
    if missing and len(missing) < len(paths):
        raise FileNotFoundError(f'annotations: {len(missing)} of {len(paths)} images of {annotations} do not exist, '
                                f'e.g. {", ".join(missing[:3])}; bring them back, or take them out of the file')
    if missing:
        raise FileNotFoundError(f'annotations: none of the {len(paths)} images of {annotations} exists below {folder} '
                                f'(looked for {", ".join(map(str, paths[:3]))}); give the folder that its names are '
                                'relative to as annotated_images (--annotated-images)')


def check_files(annotations: str | Path, folder: str | Path) -> None:
    """Refuse a COCO file of whose images any is no image; say of which the size is not the one it tells.

    Only the heads of the files are read. Width and height may have changed places, as cameras' orientation tags do.

    Args:
        annotations: The file, as :func:`check_images` and ``check_labels`` passed it.
        folder: That its ``file_name`` are relative to.

    Raises:
        ValueError: If the head of a file cannot be read.
    """
    bad, other, images = [], [], read_part(annotations, 'images')
    for image in images:
        try:
            height, width = read_size(Path(folder) / image['file_name'])
        except UnreadableImageError as error:
            bad.append(str(error))
            continue
        except Image.DecompressionBombError:  # too large for Pillow, not for what reads it in the training
            continue
        if sorted((height, width)) != sorted((image['height'], image['width'])):
            other.append(f'{image["file_name"]} ({width} x {height} pixels, not {image["width"]} x {image["height"]})')
    if bad:
        raise ValueError(f'annotations: {len(bad)} of {len(images)} images of {annotations} cannot be read, e.g. '
                         f'{"; ".join(bad[:3])}; bring them back whole, or take them out of the file')
    if other:
        _logger.warning('annotations: %d of %d images of %s have another size than it tells, e.g. %s; boxes are in '
                        'pixels of the file, so see whether they fit', len(other), len(images), annotations,
                        ', '.join(other[:3]))


def check_outlines(annotations: str | Path) -> None:
    """Refuse a COCO file with boxes that have no segmentation, which a detector with masks cannot be trained on.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If there is such a box, or it is no COCO file.
    """
    boxes = [one for one in read_part(annotations, 'annotations') if not one.get('iscrowd')]
    bare = [one.get('id') for one in boxes if not one.get('segmentation')]
    if bare:
        raise ValueError(f'annotations: {len(bare)} of {len(boxes)} boxes of {annotations} have no segmentation, e.g. '
                         f'those of the ids {bare[:3]}, but the detector has masks; give outlines, or take a '
                         'detector without masks')


def has_sound_images(annotations: str | Path) -> bool:
    """Whether a COCO file has images without any box.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no COCO file.
    """
    images, boxes = read_part(annotations, 'images'), read_part(annotations, 'annotations')
    try:
        return bool({image['id'] for image in images} - {box['image_id'] for box in boxes})
    except (KeyError, TypeError) as error:
        raise ValueError(f'annotations: {annotations} is not a COCO JSON whose images and boxes have ids '
                         f'({type(error).__name__}: {error})') from error


def read_part(annotations: str | Path, name: str) -> list:
    """One of the lists of a COCO file, as it stands there.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no COCO file, or has no such list.
    """
    path = Path(annotations)
    if not path.is_file():
        raise FileNotFoundError(f'annotations: {path} does not exist; give a COCO JSON')
    try:
        part = json.loads(path.read_text(encoding='utf-8'))[name]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f'annotations: {path} is not a COCO JSON with "{name}" '
                         f'({type(error).__name__}: {error})') from error
    if not isinstance(part, list):
        raise ValueError(f'annotations: {path} is not a COCO JSON: its "{name}" is a {type(part).__name__}, not a list')
    return part
