import numpy as np
import pytest
import tifffile
from PIL import Image

from agssp_mm.images import list_images
from agssp_mm.recipes.image_sizes import choose_image_size


@pytest.fixture
def folder(tmp_path):
    for name, size in dict(a=(100, 50), b=(300, 400), c=(380, 20)).items():
        Image.new('L', size).save(tmp_path / f'{name}.png')
    return tmp_path


def test_the_median_of_the_longer_sides_rounded_up(folder):
    assert choose_image_size(list_images(folder)) == 384


def test_images_that_cannot_be_read_are_passed_over(folder, monkeypatch):
    (folder / 'd.png').write_bytes(b'no image')
    (folder / 'e.png').write_bytes(b'')
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 30_000)  # b has more than twice as many, a "bomb"
    assert choose_image_size(list_images(folder)) == 256  # of 100 and 380 pixels
    for path in folder.glob('[abc].png'):
        path.unlink()
    assert choose_image_size(list_images(folder)) == 256


def test_tiff_files_that_pillow_does_not_know(tmp_path):
    values = np.zeros((600, 700), np.float64)
    tifffile.imwrite(tmp_path / 'a.tif', values)
    with pytest.raises(Image.UnidentifiedImageError):
        Image.open(tmp_path / 'a.tif')
    assert choose_image_size(list_images(tmp_path)) == 704
