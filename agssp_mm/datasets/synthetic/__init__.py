"""Procedural metal surfaces with known defects: the data of the demo and of the tests."""
from .dataset import make_dataset
from .defects import CATEGORIES
from .image import SyntheticImage, make_image
from .surfaces import SURFACES

__all__ = ['CATEGORIES', 'SURFACES', 'SyntheticImage', 'make_dataset', 'make_image']
