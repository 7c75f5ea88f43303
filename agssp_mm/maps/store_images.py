"""The images behind a map store, told by their path: their name, source and grey scaling."""
import os
from pathlib import Path

from ..images import ValueRange
from .store import MapStore


class StoreImages:
    """Knows what a store recorded of an image that is asked for by its path.

    Args:
        store: The map store.
        root: Folder that the image names of the store are relative to; ``None`` where no name is needed.

    Raises:
        ValueError: If the sources of the store were scaled differently and there is no root to tell names by.
    """

    def __init__(self, store: MapStore, root: str | None):
        self.store, self.root = store, root
        if root is None and self._is_per_source():
            raise ValueError(f'the map store {store.path} scales the grey values of its sources '
                             f'{sorted(store.scaling.of_sources)} differently; give image_root, the folder that image '
                             'names are relative to, so that the source of an image can be told')

    def name_of(self, path: str) -> str:
        """POSIX name below the root.

        Raises:
            ValueError: If the image does not lie below the root.
        """
        name = Path(os.path.relpath(path, self.root)).as_posix()
        if name.startswith('../'):
            raise ValueError(f'{path} does not lie below image_root {self.root}')
        return name

    def value_range_of(self, path: str) -> ValueRange | None:
        """Grey values that become 0 and 255, of one image.

        Raises:
            KeyError: If it depends on the source, and the image was not among those of the store.
            ValueError: If the image does not lie below the root.
        """
        scaling = self.store.scaling
        if not self._is_per_source():
            return scaling.of(self.store.meta['images']['sources'][0])
        return scaling.of(self.store.source_of(self.name_of(path)))

    def _is_per_source(self) -> bool:
        return len({self.store.scaling.of(source) for source in self.store.meta['images']['sources']}) > 1
