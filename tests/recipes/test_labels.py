import json

import pytest

from agssp_mm.recipes.labels import count_images, has_sound_images, read_classes


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_classes_in_the_order_of_their_ids_and_the_number_of_images(tmp_path):
    path = write(tmp_path / 'a.json', dict(images=[dict(id=1), dict(id=5)], annotations=[],
                                           categories=[dict(id=7, name='scratch'), dict(id=2, name='pit')]))
    assert read_classes(path) == ('pit', 'scratch')
    assert count_images(path) == 2


@pytest.mark.parametrize('content, message', [
    ('{', 'is not a COCO JSON with "categories"'),
    ([], 'is not a COCO JSON with "categories"'),
    (dict(images=[dict(id=1)]), 'is not a COCO JSON with "categories"'),
    (dict(images=[], categories={'1': 'pit'}), 'its "categories" is a dict, not a list'),
    (dict(images=[], categories=[dict(id=1)]), 'is not a COCO JSON with "categories"'),
    (dict(images=[], categories=[]), 'has no categories'),
])
def test_files_without_classes(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_classes(write(tmp_path / 'a.json', content))


def test_files_that_are_not_there_or_have_no_images(tmp_path):
    with pytest.raises(FileNotFoundError, match='gone.json does not exist'):
        count_images(tmp_path / 'gone.json')
    with pytest.raises(ValueError, match='has no images'):
        count_images(write(tmp_path / 'a.json', dict(images=[])))


def test_whether_there_are_images_without_a_box(tmp_path):
    images = [dict(id=1), dict(id=5)]
    some = write(tmp_path / 'a.json', dict(images=images, annotations=[dict(image_id=5), dict(image_id=5)]))
    every = write(tmp_path / 'b.json', dict(images=images, annotations=[dict(image_id=5), dict(image_id=1)]))
    assert has_sound_images(some)
    assert not has_sound_images(every)
    with pytest.raises(ValueError, match='not a COCO JSON whose images and boxes have ids'):
        has_sound_images(write(tmp_path / 'c.json', dict(images=[dict(name='x')], annotations=[])))
    with pytest.raises(ValueError, match='not a COCO JSON with "annotations"'):
        has_sound_images(write(tmp_path / 'd.json', dict(images=images)))
