import json

import pytest
from PIL import Image

from agssp_mm.recipes.labels import (check_files, check_images, check_outlines, check_same_classes, count_images,
                                     has_sound_images, read_classes)
from mmdet.datasets import CocoDataset


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_classes_in_the_order_of_the_file_and_the_number_of_images(tmp_path):
    path = write(tmp_path / 'a.json', dict(images=[dict(id=1), dict(id=5)], annotations=[],
                                           categories=[dict(id=7, name='scratch'), dict(id=2, name='pit')]))
    assert read_classes(path) == ('scratch', 'pit')
    assert count_images(path) == 2


def test_labels_of_mmdet_are_places_among_these_classes(tmp_path):
    """Of a file whose ids are not in order."""
    box = dict(id=1, image_id=1, bbox=[0, 0, 4, 4], area=16, iscrowd=0)
    path = write(tmp_path / 'a.json', dict(images=[dict(id=1, file_name='a.png', width=8, height=8)],
                                           annotations=[dict(box, category_id=7)],
                                           categories=[dict(id=7, name='scratch'), dict(id=2, name='pit')]))
    classes = read_classes(path)
    dataset = CocoDataset(ann_file=str(path), metainfo=dict(classes=classes), data_prefix=dict(img=''), pipeline=[])
    assert classes[dataset.get_data_info(0)['instances'][0]['bbox_label']] == 'scratch'


def test_both_files_must_have_the_same_classes_in_the_same_order(tmp_path):
    def file(name, *classes):
        return write(tmp_path / name, dict(categories=[dict(id=9 - one, name=each)
                                                       for one, each in enumerate(classes)]))
    train = file('train.json', 'scratch', 'pit')
    other_ids = write(tmp_path / 'ids.json', dict(categories=[dict(id=1, name='scratch'), dict(id=2, name='pit')]))
    check_same_classes(train, other_ids)
    for classes in (('pit', 'scratch'), ('scratch', ), ('scratch', 'pit', 'dent')):
        with pytest.raises(ValueError, match=r'val.json lists the categories .*, .*train.json .*same order in both'):
            check_same_classes(train, file('val.json', *classes))


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


def test_boxes_without_an_outline_for_masks(tmp_path):
    outlined = dict(id=1, segmentation=[[0, 0, 4, 0, 4, 4]])
    check_outlines(write(tmp_path / 'a.json', dict(annotations=[outlined, dict(id=2, iscrowd=1)])))
    path = write(tmp_path / 'b.json', dict(annotations=[outlined, dict(id=7), dict(id=8, segmentation=[])]))
    with pytest.raises(ValueError, match=r'2 of 3 boxes of .*b.json have no segmentation.*\[7, 8\].*has masks'):
        check_outlines(path)


def test_labels_whose_images_are_elsewhere(tmp_path):
    path = write(tmp_path / 'a.json', dict(images=[dict(file_name='gone.png'), dict(file_name='here.png')]))
    (tmp_path / 'images').mkdir()
    with pytest.raises(FileNotFoundError, match='none of the 2 images of .*a.json exists below .*images/gone.png.*'
                                                '--annotated-images'):
        check_images(path, tmp_path / 'images')
    (tmp_path / 'images' / 'here.png').touch()
    with pytest.raises(FileNotFoundError, match='1 of 2 images of .*a.json do not exist, e.g. .*/gone.png; bring'):
        check_images(path, tmp_path / 'images')
    (tmp_path / 'images' / 'gone.png').touch()
    check_images(path, tmp_path / 'images')
    with pytest.raises(ValueError, match='whose images have a "file_name"'):
        check_images(write(tmp_path / 'b.json', dict(images=[dict(id=1)])), tmp_path / 'images')


def test_labelled_images_that_are_none_and_sizes_that_are_not_theirs(tmp_path, caplog):
    for name, size in (('a.png', (20, 10)), ('turned.png', (10, 20)), ('large.png', (40, 20))):
        Image.new('L', size).save(tmp_path / name)
    (tmp_path / 'bad.png').write_bytes((tmp_path / 'a.png').read_bytes()[:20])

    def file(*names):
        return write(tmp_path / 'a.json', dict(images=[dict(file_name=name, height=10, width=20) for name in names]))
    check_files(file('a.png', 'turned.png'), tmp_path)
    assert not caplog.messages
    check_files(file('a.png', 'large.png'), tmp_path)
    assert '1 of 2 images of' in caplog.text and 'large.png (40 x 20 pixels, not 20 x 10)' in caplog.text
    with pytest.raises(ValueError, match='1 of 2 images of .*a.json cannot be read, e.g. .*bad.png'):
        check_files(file('a.png', 'bad.png'), tmp_path)
