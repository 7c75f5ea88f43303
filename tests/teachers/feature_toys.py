"""A backbone of plain averages, and made surfaces whose defects it sees."""
import numpy as np
import pytest
from mmengine.registry import MODELS
from torch import nn

#: Settings of a feature teacher over the toy backbone.
TOY = dict(backbone=dict(type='Averages'), levels=(0, 1), long_side=64, mean=(0, 0, 0), std=(1, 1, 1))


class Averages(nn.Module):
    """Two levels: mean colours of 4x4 and of 8x8 pixels; `broken` makes them infinite."""

    def __init__(self, broken=False):
        super().__init__()
        self.broken = broken

    def init_weights(self):
        pass

    def forward(self, x):
        levels = (nn.functional.avg_pool2d(x, 4), nn.functional.avg_pool2d(x, 8))
        return tuple(level / 0 for level in levels) if self.broken else levels


@pytest.fixture(autouse=True)
def averages():
    MODELS.register_module(name='Averages', module=Averages, force=True)
    yield
    MODELS._module_dict.pop('Averages')


def surface(seed, defect=False, size=(64, 64)):
    """Grey noise, the three channels nearly equal; a defect is a coloured square no brighter than the rest."""
    rng = np.random.default_rng(seed)
    image = np.repeat(rng.integers(60, 200, (size[0] // 8, size[1] // 8, 1)), 3, axis=2).repeat(8, 0).repeat(8, 1)
    image = image + rng.integers(-3, 4, image.shape)
    if defect:
        image[24:40, 32:48] += (40, 0, -40)
    return image.clip(0, 255).astype(np.uint8)


def contrast(anomaly_map):
    """How far the map of a defective surface is higher on the defect than elsewhere."""
    return anomaly_map[7:9, 9:11].mean() / np.median(anomaly_map)
