"""Which images stage 1 keeps out of its training."""
from collections.abc import Mapping
from typing import Any

from ...files import existing
from ...images import list_images
from ...maps.records import MapRecord
from ...maps.store import MapStore
from .work_folder import WorkFolder


def held_out_records(folder: WorkFolder, dataset: Mapping[str, Any], store: MapStore) -> list[MapRecord]:
    """The records of those images, chosen as ``PseudoBoxDataset`` chooses them; the store may cover more than its list.

    Where the list is gone there are none, and the folder's problems say so.

    Args:
        folder: Of the run.
        dataset: Config of the ``PseudoBoxDataset`` of stage 1.
        store: Map store of the run.
    """
    number = dataset.get('held_out') or 0
    if not (number and folder.images):
        return []
    try:
        listed = list_images(folder.images, folder.image_root)
    except (FileNotFoundError, ValueError) as error:
        folder.problems.append(f'Which images stage 1 kept out of its training is not known: {error}')
        return []
    there = existing(listed.root, [entry.name for entry in listed])
    return [record for record in store.index if record.name in there][:number]
