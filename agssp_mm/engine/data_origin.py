"""What data a run learns from: map stores with their teacher, and annotation files."""
import os
from collections.abc import Iterator, Mapping
from typing import Any

from agssp_mm.checkpoints.reading import sha256
from agssp_mm.maps.store import MapStore


def describe_data(dataloader: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Tell which map stores and annotation files the config of a loader names, wherever they stand in it.

    Args:
        dataloader: The config, as in `train_dataloader`.

    Returns:
        Per map store `store`, its `teacher` (type, version, settings), and `images` (number, sources, fingerprint of
        the list); per annotation file `ann_file` and its `sha256`. A store that can no longer be read has neither.
    """
    found = []
    for part in mappings(dataloader or {}):
        if isinstance(part.get('store'), str):
            found.append(_describe_store(part['store']))
        if part.get('ann_file') and isinstance(part['ann_file'], str):
            path = os.path.join(part.get('data_root') or '', part['ann_file'])
            found.append(dict(ann_file=part['ann_file'], sha256=sha256(path)))
    return [one for number, one in enumerate(found) if one not in found[:number]]


def _describe_store(path: str) -> dict[str, Any]:
    try:
        meta = MapStore.open(path, partial=True).meta
    except (FileNotFoundError, ValueError):  # gone since the start; no reason to lose a finished training
        return dict(store=path)
    return dict(store=path, teacher=meta['teacher'], images=meta['images'])


def mappings(part: Any) -> Iterator[Mapping[str, Any]]:
    """Every mapping in a nested config, outer ones first."""
    if isinstance(part, Mapping):
        yield part
    if isinstance(part, (Mapping, list, tuple)):
        for one in part.values() if isinstance(part, Mapping) else part:
            yield from mappings(one)
