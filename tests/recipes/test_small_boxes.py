import json

import pytest

from agssp_mm.recipes.small_boxes import small_box_note


@pytest.fixture
def annotations(tmp_path):
    """Images of 400 x 200: pits of 10 to 30 pixels, a crack of 5 x 20, a stain of 100 x 100."""
    def box(number, category, width, height, **others):
        return dict(id=number, image_id=1, category_id=category, bbox=[0, 0, width, height], **others)

    boxes = [box(1, 1, 10, 10), box(2, 1, 20, 20), box(3, 1, 30, 30), box(4, 2, 5, 20), box(5, 3, 100, 100),
             box(6, 3, 1, 1, iscrowd=1), box(7, 3, 1, 1, iscrowd=1)]
    path = tmp_path / 'labels.json'
    path.write_text(json.dumps(dict(images=[dict(id=1, width=400, height=200, file_name='a.png')], annotations=boxes,
                                    categories=[dict(id=1, name='pit'), dict(id=2, name='crack'),
                                                dict(id=3, name='stain')])))
    return path


def test_names_the_kinds_that_become_too_small_and_a_size_that_keeps_them(annotations):
    note = small_box_note(annotations, 256)  # pits 12.8 pixels, cracks 6.4
    assert note.startswith('at 256 pixels half of the labelled boxes of these kinds are smaller than 16 pixels')
    assert 'crack (6), pit (13)' in note and 'stain' not in note and '--image-size 640' in note


def test_larger_images_keep_some_of_them_or_all(annotations):
    assert 'crack (10). ' in small_box_note(annotations, 400)  # pits 20 pixels
    assert small_box_note(annotations, 640) is None
