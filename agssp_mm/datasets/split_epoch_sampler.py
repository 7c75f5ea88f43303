"""Epochs that are a part of a pass over a large data set."""
import math
from collections.abc import Iterator, Sized

import torch
from mmengine.dataset import DefaultSampler
from mmengine.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class SplitEpochSampler(DefaultSampler):
    """Go over a data set in several epochs, each with other images, and shuffle anew for every pass.

    MMEngine writes checkpoints at the end of epochs and goes on at the beginning of one: of a pass over a million
    images a killed run would lose hours. All processes see different images; the last of a pass are filled up with its
    first, so that all epochs are equally long.

    Args:
        dataset: What to go over.
        parts: Number of epochs that make a pass, at least 1.
        shuffle: Draw the order of each pass; else it is that of the data set.
        seed: Of the orders, the same in all processes; None: drawn, and agreed upon.

    Raises:
        ValueError: If ``parts`` is below 1.
    """

    def __init__(self, dataset: Sized, parts: int = 1, shuffle: bool = True, seed: int | None = None):
        if parts < 1:
            raise ValueError(f'parts is the number of epochs that make a pass and must be at least 1, got {parts}')
        super().__init__(dataset, shuffle, seed)
        self.parts = parts
        self.num_samples = math.ceil(len(dataset) / (parts * self.world_size))
        self.total_size = self.num_samples * self.world_size

    def __iter__(self) -> Iterator[int]:
        """Indices of this process for the epoch at hand."""
        number, part = divmod(self.epoch, self.parts)
        order = torch.arange(len(self.dataset))
        if self.shuffle:
            order = torch.randperm(len(order), generator=torch.Generator().manual_seed(self.seed + number))
        places = torch.arange(part * self.total_size, (part + 1) * self.total_size) % len(order)
        return iter(order[places[self.rank::self.world_size]].tolist())
