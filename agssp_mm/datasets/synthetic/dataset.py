"""A folder of procedural metal surfaces: images, masks and COCO annotations."""
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from ...files import write_atomically
from .defects import CATEGORIES
from .image import MIN_SIZE, SyntheticImage, make_image

_SETTINGS, _LABELS = 'dataset.json', 'labels.jsonl'
#: Raised whenever the same seed gives other bytes.
_VERSION = 1


def make_dataset(folder: str | Path, num_images: int, size: int | tuple[int, int] = 256, seed: int = 0, *,
                 num_val: int = 0, num_labelled: int = 0, clean_share: float = 0.25) -> Path:
    """Write a data set of procedural metal surfaces, or finish what an interrupted call left undone.

    The first ``num_val`` images are for validation, the others for training; image ``i`` depends on the seed
    and ``i`` alone. Written are::

        images/000000.png        numbers tell nothing about the content
        masks/000000.png         255 where there is a defect, else 0; one per image, of the same name
        annotations/             COCO JSON, file names relative to images/
            train_unlabelled.json    the training images without their labels, for pretraining
            train_few.json           the first ``num_labelled`` training images
            train.json  val.json

    Args:
        folder: Where to write; made if needed.
        num_images: Number of images, training and validation together.
        size: Side in pixels, or (height, width); at least 32 each.
        seed: Seed >= 0 of the whole set.
        num_val: Images kept for validation, less than ``num_images``.
        num_labelled: Training images in ``train_few.json``.
        clean_share: Probability that an image has no defect.

    Returns:
        The folder.

    Raises:
        ValueError: If a setting is out of range, or the folder holds a set with other settings.
    """
    folder = Path(folder)
    num_train = num_images - num_val
    if num_images < 1 or not 0 <= num_val < num_images or not 0 <= num_labelled <= num_train:
        raise ValueError(f'{num_images} images cannot hold {num_val} for validation and {num_labelled} '
                         'labelled ones for training; at least one image must be left for training')
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < MIN_SIZE or seed < 0 or not 0 <= clean_share <= 1:
        raise ValueError(f'images have sides of at least {MIN_SIZE} pixels, seed is >= 0 and clean_share lies in '
                         f'[0, 1]; got {height} x {width}, {seed} and {clean_share}')
    settings = dict(version=_VERSION, num_images=num_images, height=height, width=width, seed=seed,
                    num_val=num_val, num_labelled=num_labelled, clean_share=clean_share)
    _start(folder, settings)
    records = _make_images(folder, settings)
    train, val = records[num_val:], records[:num_val]
    parts = dict(train=train, train_few=train[:num_labelled], val=val,
                 train_unlabelled=[dict(record, defects=[]) for record in train])
    for name, part in parts.items():
        with write_atomically(folder / 'annotations' / f'{name}.json') as file:
            file.write(json.dumps(_as_coco(part, height, width)).encode())
    return folder


def _start(folder: Path, settings: dict[str, Any]) -> None:
    """Make the folders; refuse a folder that holds something else."""
    path = folder / _SETTINGS
    if path.is_file():
        found = json.loads(path.read_text())
        if found != settings:
            raise ValueError(f'{folder} holds a data set with other settings:\n  there: {found}\n'
                             f'  now:   {settings}\nGive another folder, or delete this one')
    elif folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f'{folder} is not empty and holds no made data set; give another folder')
    for name in ('images', 'masks', 'annotations'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as file:
        file.write(json.dumps(settings).encode())


def _make_images(folder: Path, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Write the images that are missing; returns one record per image, in order."""
    done = _read_records(folder)
    open_images = [index for index in range(settings['num_images']) if index not in done]
    progress = tqdm(total=settings['num_images'], initial=len(done), desc='made images', unit='image',
                    disable=None)
    with open(folder / _LABELS, 'a', encoding='utf-8') as log, progress:
        for index in open_images:
            made = make_image((settings['seed'], index), (settings['height'], settings['width']),
                              settings['clean_share'])
            name = f'{index:06d}.png'
            _write_png(folder / 'masks' / name, np.where(made.masks.any(axis=0), 255, 0).astype(np.uint8))
            _write_png(folder / 'images' / name, made.image)
            done[index] = dict(index=index, name=name, surface=made.surface, defects=_defects_of(made))
            log.write(json.dumps(done[index]) + '\n')
            log.flush()
            progress.update()
    return [done[index] for index in sorted(done)]


def _read_records(folder: Path) -> dict[int, dict[str, Any]]:
    """Records of the finished images; a last line torn by a kill is dropped from the file."""
    path = folder / _LABELS
    if not path.is_file():
        return {}
    lines = path.read_text(encoding='utf-8').splitlines(keepends=True)
    whole = [line for line in lines if line.endswith('\n')]
    with write_atomically(path) as file:
        file.write(''.join(whole).encode())
    records = [json.loads(line) for line in whole]
    return {record['index']: record for record in records
            if all((folder / part / record['name']).is_file() for part in ('images', 'masks'))}


def _write_png(path: Path, pixels: np.ndarray) -> None:
    with write_atomically(path) as file:
        file.write(cv2.imencode('.png', pixels)[1].tobytes())


def _defects_of(made: SyntheticImage) -> list[dict[str, Any]]:
    """COCO fields of each defect: category, box, area and mask as compressed RLE."""
    from pycocotools import mask as coco_mask
    defects = []
    for mask, box, label in zip(made.masks, made.boxes, made.labels, strict=True):
        encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        left, top, right, bottom = (float(value) for value in box)
        defects.append(dict(category_id=int(label) + 1, bbox=[left, top, right - left, bottom - top],
                            area=int(mask.sum()), iscrowd=0,
                            segmentation=dict(size=encoded['size'], counts=encoded['counts'].decode())))
    return defects


def _as_coco(records: list[dict[str, Any]], height: int, width: int) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for record in records:
        images.append(dict(id=record['index'], file_name=record['name'], height=height, width=width))
        for defect in record['defects']:
            annotations.append(dict(id=len(annotations) + 1, image_id=record['index'], **defect))
    categories = [dict(id=number, name=name) for number, name in enumerate(CATEGORIES, start=1)]
    return dict(images=images, annotations=annotations, categories=categories)
