"""A random sample of the images of a stream and the spread of their features, in bounded memory."""
import heapq

import numpy as np


class ImageSample:
    """Keeps the features of a uniform random sample of images, and mean and deviation of all.

    Args:
        num_images: Most images to keep.
        num_patches: Most patches to keep of each.
        seed: Picks both.
    """

    def __init__(self, num_images: int, num_patches: int, seed: int) -> None:
        self.num_images, self.num_patches, self.num_seen = num_images, num_patches, 0
        self._random = np.random.default_rng(seed)
        self._kept: list[tuple[float, int, np.ndarray]] = []  # a heap: the largest key on top
        self._count, self._sum, self._squares = 0, 0.0, 0.0

    def add(self, vectors: np.ndarray) -> None:
        """Take in the (N, C) features of one image."""
        exact = vectors.astype(np.float64)
        self._count += len(vectors)
        self._sum = self._sum + exact.sum(0)
        self._squares = self._squares + (exact ** 2).sum(0)
        key = self._random.random()
        places = self._random.permutation(len(vectors))[:self.num_patches]
        entry = (-key, self.num_seen, vectors[np.sort(places)])
        self.num_seen += 1
        if len(self._kept) < self.num_images:
            heapq.heappush(self._kept, entry)
        else:
            heapq.heappushpop(self._kept, entry)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """(C,) mean and (C,) standard deviation of all patches of all images, float64."""
        mean = np.asarray(self._sum) / self._count
        return mean, np.sqrt(np.maximum(self._squares / self._count - mean ** 2, 0))

    def images(self) -> list[np.ndarray]:
        """(n, C) features of each image of the sample, in the order of the stream."""
        return [vectors for _, _, vectors in sorted(self._kept, key=lambda entry: entry[1])]
