"""Tensors kept on disk under what they were made from."""
import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agssp_mm.files import write_atomically


def content_digest(*parts: Any) -> str:
    """Digest of plain JSON values, 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class TensorCache:
    """A folder of tensors, each in a file named after the digest of what it was made from.

    Several processes may share it: files appear whole, and whoever finds none makes its own.

    Args:
        folder: Made when the first tensor is kept; ``None`` keeps nothing.
    """

    def __init__(self, folder: str | Path | None) -> None:
        self.folder = Path(folder) if folder is not None else None

    def get(self, kind: str, digest: str, make: Callable[[], Tensor]) -> Tensor:
        """The tensor kept under a kind and a digest, made and kept if there is none.

        Args:
            kind: First part of the file name, for people.
            digest: Of everything the tensor depends on.
            make: Called where no readable file is found.
        """
        if self.folder is None:
            return make()
        path = self.folder / f'{kind}-{digest}.pt'
        if path.is_file():
            try:
                return torch.load(path, map_location='cpu', weights_only=True)['tensor']
            except Exception as error:  # a damaged file must not stop a run that can do without it
                logging.getLogger(__name__).warning('%s cannot be read and is made anew (%s)', path, error)
        tensor = make()
        self.folder.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as file:
            torch.save({'tensor': tensor}, file)
        return tensor
