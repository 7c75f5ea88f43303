"""Which normal images KeAD's few-shot memory is made of."""
from collections.abc import Mapping, Sequence
from pathlib import Path

from agssp_mm.images import content_key, list_images
from agssp_mm.images.listing import IMAGE_SUFFIXES
from agssp_mm.teachers.prompts import ClassTexts

Normals = str | Path | Sequence[str | Path]


def choose_normals(classes: Mapping[str, ClassTexts], normals: Normals | Mapping[str, Normals] | None,
                   num_normals: int | None, seed: int) -> dict[str, tuple[Path, ...]]:
    """Pick the normal images of each class.

    Args:
        classes: The classes in use; their ``samples`` count where ``normals`` says nothing.
        normals: Images of the one class in use, or class name -> images: a list of files, or what
            :func:`agssp_mm.images.list_images` takes (a folder, a text file of names, a COCO JSON).
        num_normals: How many to use per class; ``None`` for all, 0 for none.
        seed: Picks which, by their content and not by their names.

    Returns:
        Class name -> paths; empty for a class without any.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If a class has fewer than asked, or ``normals`` do not fit the classes.
    """
    if num_normals is not None and (not isinstance(num_normals, int) or num_normals < 0):
        raise ValueError(f'num_normals must be None (all) or a number from 0 on, got {num_normals!r}')
    given = _per_class(normals, classes)
    chosen = {}
    for name, texts in classes.items():
        paths = [Path(path) for path in given.get(name, texts.samples)]
        if num_normals == 0 or (name not in given and not paths):
            chosen[name] = ()  # the class is scored by its texts alone
            continue
        missing = [str(path) for path in paths if not path.is_file()]
        if missing:
            raise FileNotFoundError(f'{len(missing)} of {len(paths)} normal images of class {name!r} do not '
                                    f'exist, e.g. {missing[:3]}')
        if num_normals is not None and len(paths) < num_normals:
            raise ValueError(f'class {name!r} has {len(paths)} normal images, but num_normals={num_normals} '
                             'asks for more; give more images as normals, or a smaller num_normals')
        if num_normals is not None:
            paths = sorted(paths, key=lambda path: content_key(path, seed))[:num_normals]
        chosen[name] = tuple(paths)
    return chosen


def _per_class(normals: Normals | Mapping[str, Normals] | None,
               classes: Mapping[str, ClassTexts]) -> dict[str, list[str | Path]]:
    if normals is None:
        return {}
    if not isinstance(normals, Mapping):
        if len(classes) > 1:
            raise ValueError(f'the classes {sorted(classes)} are in use: give normals per class, '
                             'such as normals={class: folder}')
        normals = {name: normals for name in classes}
    unknown = sorted(set(normals) - set(classes))
    if unknown:
        raise ValueError(f'normals are given for the classes {unknown}, but those in use are '
                         f'{sorted(classes)}')
    return {name: _as_list(images) for name, images in normals.items()}


def _as_list(images: Normals) -> list[str | Path]:
    if not isinstance(images, (str, Path)):
        return list(images)
    if Path(images).suffix.lower() in IMAGE_SUFFIXES:
        return [images]
    listed = list_images(images)
    return [listed.path(entry) for entry in listed]
