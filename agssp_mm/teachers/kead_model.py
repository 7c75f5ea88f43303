"""An open_clip model with its tokenizer and image transform."""
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

_PROMPT_BATCH = 64


@dataclass
class ClipModel:
    """A CLIP model ready for KeAD.

    Attributes:
        model: open_clip model in eval mode, float32, without gradients.
        tokenizer: Texts -> (N, context length) token ids.
        config: The open_clip model config it was built from.
        mean: Per RGB channel, of values in [0, 1].
        std: Likewise.
    """

    model: Any
    tokenizer: Any
    config: dict[str, Any]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def image_size(self) -> int:
        """Side of the square input, pixels."""
        return self.model.visual.image_size[0]

    @property
    def grid_size(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return tuple(self.model.visual.grid_size)

    @property
    def depth(self) -> int:
        """Blocks of the vision tower."""
        return len(self.model.visual.transformer.resblocks)

    @property
    def context_length(self) -> int:
        """Tokens the text tower reads, start and end included."""
        return self.tokenizer.context_length

    @cached_property
    def digest(self) -> str:
        """Digest of architecture and weights."""
        digest = hashlib.sha256(json.dumps([self.config, self.mean, self.std], sort_keys=True).encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(f'{name} {tuple(tensor.shape)} {tensor.dtype}\0'.encode())
            digest.update(np.ascontiguousarray(tensor.cpu().numpy()).data)
        return digest.hexdigest()

    def preprocess(self, images: Sequence[np.ndarray]) -> Tensor:
        """Squash images to the size of the tower (Pillow, bicubic) and normalise them.

        Args:
            images: B arrays (H, W, 3) uint8 BGR.

        Returns:
            (B, 3, S, S) float32 on the CPU.
        """
        size = (self.image_size, self.image_size)
        pictures = [Image.fromarray(np.ascontiguousarray(image[..., ::-1])) for image in images]
        squashed = [np.asarray(picture.resize(size, Image.Resampling.BICUBIC)) for picture in pictures]
        batch = torch.from_numpy(np.stack(squashed)).permute(0, 3, 1, 2)
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (self.mean, self.std))
        return (batch.float().div(255) - mean) / std

    def prompt_length(self, prompt: str) -> int:
        """Tokens of a prompt before any cut, start and end included."""
        if hasattr(self.tokenizer, 'encode'):
            return len(self.tokenizer.encode(prompt)) + 2
        return len(self.tokenizer.tokenizer(prompt).input_ids)

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str]) -> Tensor:
        """Encode and normalise every prompt, average, normalise again.

        Returns:
            (D,) float32 on the CPU.
        """
        device = self.model.visual.conv1.weight.device
        counts = Counter(prompts)  # the templates hold one entry twice
        different = list(counts)
        features = []
        for start in tqdm(range(0, len(different), _PROMPT_BATCH), desc=f'encoding {len(different)} texts',
                          unit='batch', disable=None, leave=False):
            tokens = self.tokenizer(different[start:start + _PROMPT_BATCH]).to(device)
            features.append(F.normalize(self.model.encode_text(tokens), dim=-1).float().cpu())
        shares = torch.tensor([counts[prompt] / len(prompts) for prompt in different])
        return F.normalize(shares @ torch.cat(features), dim=-1)
