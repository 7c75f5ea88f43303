"""A uniform sample of a stream of vectors, in bounded memory."""
import numpy as np


class PatchSample:
    """Keeps a uniform random sample of all vectors seen.

    Every vector draws a random key, and those with the smallest keys stay: how the stream is cut into blocks plays no
    part.

    Args:
        size: Most vectors to keep.
        seed: Of the keys.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size, self.num_seen = size, 0
        self._random = np.random.default_rng(seed)
        self._limit = np.inf
        self._keys: list[np.ndarray] = []
        self._vectors: list[np.ndarray] = []
        self._held = 0

    def add(self, vectors: np.ndarray) -> None:
        """Take in (N, C) vectors."""
        keys = self._random.random(len(vectors))
        chosen = keys < self._limit
        self.num_seen += len(vectors)
        if not chosen.any():
            return
        self._keys.append(keys[chosen])
        self._vectors.append(vectors[chosen].astype(np.float32))
        self._held += int(chosen.sum())
        if self._held >= 2 * self.size:
            self._shrink()

    def vectors(self) -> np.ndarray:
        """The sample, (at most size, C) float32, in the order of the stream."""
        if not self._vectors:
            return np.zeros((0, 0), np.float32)
        self._shrink()
        return self._vectors[0]

    def _shrink(self) -> None:
        keys, vectors = np.concatenate(self._keys), np.concatenate(self._vectors)
        if len(keys) > self.size:
            chosen = np.sort(np.argpartition(keys, self.size - 1)[:self.size])
            keys, vectors = keys[chosen], vectors[chosen]
            self._limit = keys.max()
        self._keys, self._vectors, self._held = [keys], [vectors], len(keys)
