"""What several tests need: made images on disk and a teacher that does next to nothing."""
import numpy as np
import pytest
from mmengine.utils import ManagerMixin
from PIL import Image

from agssp_mm.teachers.base import AnomalyMaps, Teacher


class ToyTeacher(Teacher):
    """Raw map = distance of each 4x4 block's corner pixel from the mean of the image, learned shift added."""

    version = 1

    def __init__(self, gain: float = 1.0):
        self.gain = gain
        self.num_fits = 0
        self.batches: list[int] = []

    @property
    def settings(self):
        return dict(gain=self.gain)

    def fit(self, images):
        self.num_fits += 1
        self.mean = float(np.mean([image.mean() for image in images]))

    def predict(self, images):
        self.batches.append(len(images))
        maps = [self.gain * np.abs(image[::4, ::4, 0].astype(np.float32) - self.mean) for image in images]
        return AnomalyMaps(maps, np.array([raw.max() for raw in maps], np.float32))

    def state_dict(self):
        import torch
        return dict(mean=torch.tensor(self.mean, dtype=torch.float64))

    def load_state_dict(self, state):
        self.mean = float(state['mean'])


@pytest.fixture(autouse=True)
def no_instance_of_an_earlier_run():
    """A run takes MMEngine's visualizer, logger, hub and scope by name, those of an earlier run in this process too."""
    yield
    for manager in _subclasses(ManagerMixin):
        manager._instance_dict.clear()


def _subclasses(cls):
    return [one for child in cls.__subclasses__() for one in (child, *_subclasses(child))]


@pytest.fixture
def toy_teacher():
    return ToyTeacher()


@pytest.fixture
def image_folder(tmp_path):
    """Twelve grey 32x24 (height x width) PNGs with one bright square each, two of them in a sub-folder."""
    folder = tmp_path / 'images'
    (folder / 'deep').mkdir(parents=True)
    generator = np.random.default_rng(0)
    for number in range(12):
        image = generator.integers(60, 80, (32, 24), dtype=np.uint8)
        top, left = generator.integers(0, 16, 2)
        image[top:top + 8, left:left + 8] = 200
        where = folder / 'deep' if number > 9 else folder
        Image.fromarray(image).save(where / f'{number:02d}.png')
    return folder
