import json

import pytest

from agssp_mm.recipes.small_boxes import small_box_note


def write(path, boxes, size=(400, 200)):
    """Labels of one image: (category, bbox, other keys)."""
    names = sorted({category for category, *_ in boxes})
    path.write_text(json.dumps(dict(
        images=[dict(id=1, width=size[0], height=size[1], file_name='a.png')],
        categories=[dict(id=number, name=name) for number, name in enumerate(names)],
        annotations=[dict(dict(*others), id=number, image_id=1, category_id=names.index(category), bbox=bbox)
                     for number, (category, bbox, *others) in enumerate(boxes)])))
    return path


@pytest.fixture
def annotations(tmp_path):
    """An image of 400 x 200: pits of 10 to 30 pixels, a crack of 5 x 20, a stain of 100 x 100."""
    return write(tmp_path / 'labels.json', [
        ('pit', [0, 0, 10, 10]), ('pit', [0, 0, 20, 20]), ('pit', [0, 0, 30, 30]), ('crack', [0, 0, 5, 20]),
        ('stain', [0, 0, 100, 100]), ('stain', [0, 0, 2, 2], dict(iscrowd=1)),
        ('stain', [0, 0, 2, 2], dict(ignore=1))])


def test_names_the_kinds_that_become_too_small(annotations):
    note = small_box_note(annotations, 256)  # pits 12.8 pixels, cracks 6.4
    assert note.startswith('at 256 pixels half of the labelled boxes of these kinds are smaller than 16 pixels')
    assert "find them: 'crack' (6.4), 'pit' (12.8);" in note and 'stain' not in note


def test_a_size_that_keeps_them_is_one_that_the_images_have(tmp_path, annotations):
    pits = write(tmp_path / 'pits.json', [('pit', [0, 0, 20, 20])])
    assert small_box_note(pits, 256).endswith('; --image-size 320 keeps them')
    assert small_box_note(pits, 320) is None
    # a crack of 10 pixels in the image itself: scaling the image up shows nothing new
    assert small_box_note(annotations, 256).endswith(
        '; they are small in the images themselves: --image-size 448 keeps what is there, and tiles cut from the '
        'images and enlarged show more')
    assert small_box_note(annotations, 448).endswith(
        "'crack' (11.2); they are small in the images themselves; tiles cut from the images and enlarged show more")


def test_counts_what_the_training_uses(tmp_path):
    """Not boxes below a pixel or outside, which MMDetection drops, and only the visible part of the others."""
    dropped = [('pit', [0, 0, 0.5, 40])] * 3 + [('pit', [500, 0, 5, 5])] * 3 + [('pit', [0, 0, 100, 100])] * 2
    assert small_box_note(write(tmp_path / 'dropped.json', dropped), 400) is None
    cut = write(tmp_path / 'cut.json', [('pit', [396, 196, 104, 104])])
    assert "'pit' (4.0)" in small_box_note(cut, 400)
    assert small_box_note(write(tmp_path / 'none.json', []), 400) is None
