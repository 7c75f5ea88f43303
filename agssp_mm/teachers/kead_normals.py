"""Which normal images KeAD's few-shot memory is made of."""
from collections.abc import Mapping
from pathlib import Path

from agssp_mm.teachers.normal_images import Normals, pick_normals
from agssp_mm.teachers.prompts import ClassTexts


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
    chosen: dict[str, tuple[Path, ...]] = {}
    for name, texts in classes.items():
        paths = given.get(name, texts.samples)
        if num_normals == 0 or (name not in given and not paths):
            chosen[name] = ()  # the class is scored by its texts alone
            continue
        chosen[name] = pick_normals(paths, num_normals, seed, f' of class {name!r}')
    return chosen


def _per_class(normals: Normals | Mapping[str, Normals] | None,
               classes: Mapping[str, ClassTexts]) -> dict[str, Normals]:
    if normals is None:
        return {}
    if not isinstance(normals, Mapping):
        if len(classes) > 1:
            raise ValueError(f'the classes {sorted(classes)} are in use: give normals per class, '
                             'such as normals={class: folder}')
        normals = dict.fromkeys(classes, normals)
    unknown = sorted(set(normals) - set(classes))
    if unknown:
        raise ValueError(f'normals are given for the classes {unknown}, but those in use are '
                         f'{sorted(classes)}')
    return dict(normals)
