import cv2
import numpy as np
import pytest

from agssp_mm.images import list_images
from agssp_mm.images.duplicates import find_duplicates

SEEN = ('rolled.png', 'brushed.png', 'cast.png')


def texture(seed, shading=0.0):
    noise = np.random.default_rng(seed).normal(size=(96, 96)).astype(np.float32)
    image = 120 + 150 * cv2.GaussianBlur(noise, (0, 0), 2.0) + shading * np.linspace(-1, 1, 96)
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture
def folders(tmp_path):
    for seed, name in enumerate(SEEN):
        write(tmp_path / 'seen' / name, texture(seed))
    return tmp_path / 'seen', tmp_path / 'unseen'


def write(path, image):
    path.parent.mkdir(exist_ok=True)
    assert cv2.imwrite(str(path), image)


@pytest.mark.parametrize('change', [
    lambda image: image,
    lambda image: np.clip(image * 0.6 + 40, 0, 255).astype(np.uint8),
    lambda image: np.rot90(image),
    lambda image: np.rot90(image, 3)[:, ::-1],
    lambda image: cv2.resize(image, (72, 72), interpolation=cv2.INTER_AREA),
], ids=['the same', 're-exposed', 'turned', 'turned and mirrored', 'smaller'])
@pytest.mark.parametrize('suffix', ['png', 'jpg'])
def test_the_same_picture_is_found_in_any_form(folders, change, suffix):
    seen, unseen = folders
    write(unseen / f'0.{suffix}', change(texture(1)))
    write(unseen / '1.png', texture(7))
    found = find_duplicates(list_images(seen), list_images(unseen))
    assert [(pair.first, pair.second) for pair in found] == [('brushed.png', f'0.{suffix}')]
    assert 0.9 <= found[0].similarity <= 1.0001


def test_the_same_light_does_not_make_the_same_picture(folders):
    seen, unseen = folders
    write(seen / 'lit.png', texture(5, shading=90))
    write(unseen / 'lit.png', texture(6, shading=90))
    write(unseen / 'even.png', np.full((96, 96), 128, np.uint8))
    assert find_duplicates(list_images(seen), list_images(unseen)) == []


def test_most_similar_first(folders):
    seen, unseen = folders
    noise = np.random.default_rng(9).normal(0, 12, (96, 96))
    write(unseen / 'a.png', np.clip(texture(0) + noise, 0, 255).astype(np.uint8))
    write(unseen / 'b.png', texture(2))
    assert [pair.second for pair in find_duplicates(list_images(seen), list_images(unseen), 0.5)] == ['b.png', 'a.png']


@pytest.mark.parametrize('threshold', [0, 1.1])
def test_a_threshold_that_is_no_correlation_is_refused(folders, threshold):
    with pytest.raises(ValueError, match='above 0 and at most 1'):
        find_duplicates(list_images(folders[0]), list_images(folders[0]), threshold)
