"""Going through nested configs."""
from collections.abc import Collection, Iterator
from typing import Any


def walk(part: Any, skip: Collection[str] = ()) -> Iterator[dict]:
    """Every dict in a nested config, outer ones first.

    Args:
        part: Dicts, lists and tuples in each other.
        skip: Keys below which nothing is looked at.
    """
    if isinstance(part, dict):
        yield part
        for key, value in list(part.items()):
            if key not in skip:
                yield from walk(value, skip)
    elif isinstance(part, (list, tuple)):
        for value in part:
            yield from walk(value, skip)
