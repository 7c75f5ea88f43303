"""The classes of a labelled data set."""
import json
from pathlib import Path


def read_classes(annotations: str | Path) -> tuple[str, ...]:
    """Names of the categories of a COCO file, in the order of their ids; nothing else of it is used.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no COCO file, or has no categories.
    """
    path = Path(annotations)
    if not path.is_file():
        raise FileNotFoundError(f'annotations: {path} does not exist; give a COCO JSON')
    try:
        categories = json.loads(path.read_text(encoding='utf-8'))['categories']
        names = tuple(str(one['name']) for one in sorted(categories, key=lambda one: one['id']))
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f'annotations: {path} is not a COCO JSON with "categories" '
                         f'({type(error).__name__}: {error})') from error
    if not names:
        raise ValueError(f'annotations: {path} has no categories')
    return names
