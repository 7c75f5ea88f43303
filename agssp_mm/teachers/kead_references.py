"""What KeAD compares images with: text features and a memory of normal patches for every class in use."""
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from agssp_mm.images import read_image
from agssp_mm.teachers.kead_cache import TensorCache, content_digest
from agssp_mm.teachers.kead_model import ClipModel
from agssp_mm.teachers.kead_scores import text_directions
from agssp_mm.teachers.prompts import PromptSets

#: Patches of normal images kept per level and class; more (tiles of large images have more) are thinned out.
MAX_MEMORY = 50_000
_VERSION = 1  # raised when cached tensors would come out otherwise


class References:
    """Text features and memories, each made when first asked for, on disk and in memory.

    Args:
        clip: The model.
        prompts: Class name -> prompts.
        normals: Class name -> paths of its normal images, empty for none.
        patches: Normal images -> their patch features in parts, each (U, n, D) unit vectors.
        made_with: Plain values that the patch features depend on beside model and images.
        value_range: As in :func:`agssp_mm.images.read_image`, for the normal images.
        cache: Where tensors are kept.
    """

    def __init__(self, clip: ClipModel, prompts: Mapping[str, PromptSets],
                 normals: Mapping[str, Sequence[Path]],
                 patches: Callable[[Iterable[np.ndarray]], Iterator[Tensor]], made_with: Sequence[object],
                 value_range: tuple[float, float] | None, cache: TensorCache) -> None:
        self._clip, self._prompts, self._normals, self._patches = clip, prompts, normals, patches
        self._made_with, self._value_range, self._cache = [*made_with, value_range], value_range, cache
        self._device = torch.device('cpu')
        self._texts: dict[str, Tensor] = {}
        self._memories: dict[str, Tensor] = {}

    def text_features(self, name: str) -> Tensor:
        """(3, D) averaged unit vectors of a class: normal, anomalous, empty prompts.

        Raises:
            ValueError: If the text tower gives values that are not finite.
        """
        if name not in self._texts:
            features = self._cache.get('kead_text', self._text_digest(name), lambda: torch.stack(
                [self._clip.encode_prompts(getattr(self._prompts[name], kind))
                 for kind in ('normal', 'anomalous', 'empty')]))
            if not torch.isfinite(features).all():
                raise ValueError(f'the text features of class {name!r} are not finite; the weights of the '
                                 'text tower are damaged or of another model')
            self._texts[name] = features.to(self._device)
        return self._texts[name]

    def directions(self, name: str) -> Tensor:
        """(2, D) unit vectors of a class: towards its normal and its anomalous texts."""
        return text_directions(*self.text_features(name))

    def memory(self, name: str) -> Tensor | None:
        """(U, M, D) patch features of a class's normal images, or ``None`` if it has none."""
        if not self._normals[name]:
            return None
        if name not in self._memories:
            memory = self._cache.get('kead_memory', self._memory_digest(name),
                                     lambda: self._make_memory(name))
            self._memories[name] = memory.to(self._device)
        return self._memories[name]

    def to(self, device: str | torch.device) -> None:
        """Move what there is, and will be, to a device."""
        self._device = torch.device(device)
        for tensors in (self._texts, self._memories):
            tensors.update({name: tensor.to(device) for name, tensor in tensors.items()})

    def state_dict(self) -> dict[str, Tensor]:
        """Everything, on the CPU, with the digest of what it was made from."""
        state = {'made_from': self._digest()}
        for name in self._prompts:
            state[f'text.{name}'] = self.text_features(name).cpu()
            if self._normals[name]:
                state[f'memory.{name}'] = self.memory(name).cpu()
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what :meth:`state_dict` gave; an empty state forgets it.

        Raises:
            ValueError: If it was made from something else.
        """
        if not state:
            self._texts, self._memories = {}, {}
            return
        expected = {'made_from', *(f'text.{name}' for name in self._prompts),
                    *(f'memory.{name}' for name in self._prompts if self._normals[name])}
        if set(state) != expected:
            raise ValueError(f'the state of KeADTeacher must hold {sorted(expected)}, got {sorted(state)}; '
                             'use the state of a KeADTeacher with the same classes and normals')
        if not torch.equal(state['made_from'].cpu(), self._digest()):
            raise ValueError('the state of KeADTeacher was made with other settings (model, weights, texts, '
                             'templates, normal images, levels, tiles or amp); use the state of a teacher '
                             'with the same settings')
        self._texts = {name: state[f'text.{name}'].to(self._device) for name in self._prompts}
        self._memories = {name: state[f'memory.{name}'].to(self._device)
                          for name in self._prompts if self._normals[name]}

    def _digest(self) -> Tensor:
        parts = [[self._text_digest(name), self._memory_digest(name)] for name in sorted(self._prompts)]
        return torch.tensor(list(bytes.fromhex(content_digest(parts))), dtype=torch.uint8)

    def _text_digest(self, name: str) -> str:
        return content_digest(_VERSION, self._clip.digest, asdict(self._prompts[name]))

    def _memory_digest(self, name: str) -> str:
        contents = sorted(sha256(path.read_bytes()).hexdigest() for path in self._normals[name])
        return content_digest(_VERSION, self._clip.digest, self._made_with, contents)

    def _make_memory(self, name: str) -> Tensor:
        """Patch features of all normal images; above MAX_MEMORY a random choice, the same at every run."""
        generator = torch.Generator().manual_seed(0)
        memory, lots = None, torch.empty(0)
        paths = tqdm(self._normals[name], desc=f'normal images of {name}', unit='image', disable=None,
                     leave=False)
        for part in self._patches(read_image(path, self._value_range) for path in paths):
            part = part.cpu()
            lots = torch.cat([lots, torch.rand(part.shape[1], generator=generator)])
            memory = part if memory is None else torch.cat([memory, part], dim=1)
            if len(lots) > MAX_MEMORY:
                kept = lots.topk(MAX_MEMORY, largest=False).indices.sort().values
                memory, lots = memory[:, kept], lots[kept]
        if memory is None or not torch.isfinite(memory).all():
            raise ValueError(f'the features of the normal images of class {name!r} are not finite; the '
                             "weights are damaged, or amp='fp16' overflows: try amp='bf16' or no amp")
        return memory.contiguous()
