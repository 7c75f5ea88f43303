"""Nearest neighbours among many vectors, and a coreset of them; chunked, so that no large table is ever held."""
import numpy as np
import torch
from torch import Tensor

_BANK_CHUNK, _QUERY_CHUNK = 4096, 512  # a table of 8 MiB: about what the caches of a core hold
_PROJECTED = 64  # dimensions in which the coreset is chosen


class Bank:
    """Vectors to be compared with.

    Args:
        vectors: (N, C) float32, N >= 1.
    """

    def __init__(self, vectors: Tensor) -> None:
        self.vectors = vectors.float().contiguous()
        self._half_squares = 0.5 * (self.vectors ** 2).sum(1)

    def to(self, device: str | torch.device) -> 'Bank':
        """The same bank on a device."""
        return self if self.vectors.device == torch.device(device) else Bank(self.vectors.to(device))

    @torch.no_grad()
    def distances(self, queries: Tensor, neighbours: int = 1) -> Tensor:
        """Mean Euclidean distance of (Q, C) queries to their nearest neighbours: (Q,) float32."""
        neighbours = min(neighbours, len(self.vectors))
        found = []
        for block in queries.float().split(_QUERY_CHUNK):
            best = None
            for bank, half in zip(self.vectors.split(_BANK_CHUNK), self._half_squares.split(_BANK_CHUNK), strict=True):
                # |q - b|^2 / 2 less |q|^2 / 2, which is the same for all of the bank
                partial = torch.addmm(half, block, bank.T, alpha=-1)
                least = partial.amin(1, keepdim=True) if neighbours == 1 else (
                    partial.topk(min(neighbours, len(bank)), dim=1, largest=False).values)
                if best is not None:
                    least = torch.cat([best, least], 1)
                best = least.amin(1, keepdim=True) if neighbours == 1 else (
                    least.topk(min(neighbours, least.shape[1]), dim=1, largest=False).values)
            squares = 2 * best + (block ** 2).sum(1, keepdim=True)
            found.append(squares.clamp_min(0).sqrt().mean(1))
        return torch.cat(found)


@torch.no_grad()
def coreset(vectors: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Vectors that cover all others: each next one is the farthest from those chosen so far.

    Greedy k-centre selection in a random projection, as in PatchCore (https://arxiv.org/abs/2106.08265, algorithm 1).

    Args:
        vectors: (N, C) float32.
        size: How many to choose.
        seed: Of the projection and of the first one.

    Returns:
        (min(size, N), C) float32.
    """
    if len(vectors) <= size:
        return vectors
    generator = torch.Generator().manual_seed(seed)
    points = torch.from_numpy(vectors)
    if points.shape[1] > _PROJECTED:
        points = points @ (torch.randn(points.shape[1], _PROJECTED, generator=generator) / _PROJECTED ** 0.5)
    squares = (points ** 2).sum(1)
    chosen = [int(torch.randint(len(points), (1, ), generator=generator))]
    nearest = torch.full((len(points), ), float('inf'))
    while len(chosen) < size:
        last = points[chosen[-1]]
        nearest = torch.minimum(nearest, (squares - 2 * (points @ last) + squares[chosen[-1]]).clamp_min(0))
        nearest[chosen[-1]] = -1
        chosen.append(int(nearest.argmax()))
    return vectors[chosen]
