import numpy as np
import pytest
import torch
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.registry import TRANSFORMS

import agssp_mm  # noqa: F401
from agssp_mm.datasets.transforms.paste_textures import PasteTextures


def surface(level=100, stripes=0, boxes=(), size=(96, 128), dtype=np.uint8):
    """A surface of one grey, or with stripes of another one: whatever differs was pasted."""
    image = np.full((*size, 3), level, dtype)
    image[:, ::2] += dtype(stripes)
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return dict(img=image, gt_bboxes=HorizontalBoxes(boxes), gt_bboxes_labels=np.zeros(len(boxes), np.int64),
                gt_ignore_flags=np.zeros(len(boxes), bool))


def striped_box(image):
    """Half-open box of where neighbouring columns differ by 30 at least."""
    off = np.abs(np.diff(image[..., 0].astype(float), axis=1)) >= 30
    columns, rows = np.flatnonzero(off.any(axis=0)), np.flatnonzero(off.any(axis=1))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def test_the_boxes_are_those_of_the_pieces_of_the_other_image():
    np.random.seed(0)
    for _ in range(10):
        transform = TRANSFORMS.build(dict(type='PasteTextures', prob=1.0, max_num=1, label=3))
        first = transform(surface(stripes=60))
        assert np.array_equal(first['img'], surface(stripes=60)['img']) and len(first['gt_bboxes']) == 0
        made = transform(surface())
        assert made['gt_bboxes'].tensor.shape == (1, 4) and made['img'].dtype == np.uint8
        assert made['gt_bboxes_labels'].tolist() == [3] and made['gt_ignore_flags'].tolist() == [False]
        # half of the pixels at the edge may be covered by less than half
        assert striped_box(made['img']) == pytest.approx(made['gt_bboxes'].tensor[0].tolist(), abs=3)


def test_a_piece_that_does_not_show_gets_no_box():
    np.random.seed(0)
    transform = PasteTextures(prob=1.0, max_num=1)
    for _ in range(5):
        made = transform(surface(level=3, stripes=2))
        assert len(made['gt_bboxes']) == 0 and np.array_equal(made['img'], surface(level=3, stripes=2)['img'])
    transform = PasteTextures(prob=1.0, max_num=1)
    transform(surface(level=3))
    assert len(transform(surface(level=100, stripes=60))['gt_bboxes']) == 1


def test_boxes_that_were_there_are_kept_clear():
    np.random.seed(0)
    transform, there, added = PasteTextures(prob=1.0, max_num=3, max_overlap=0.0), [10.0, 8.0, 60.0, 70.0], []
    transform(surface(stripes=60))
    for _ in range(20):
        boxes = transform(surface(boxes=[there]))['gt_bboxes'].tensor
        assert boxes[0].tolist() == there
        sides = torch.minimum(boxes[1:, 2:], boxes[0, 2:]) - torch.maximum(boxes[1:, :2], boxes[0, :2])
        assert (sides.clamp(min=0).prod(1) == 0).all()
        added.append(len(boxes) - 1)
    assert set(added) >= {1, 2} and max(added) <= 3


def test_the_size_is_a_share_of_the_image():
    np.random.seed(0)
    longest = {}
    for radius in (0.1, 0.3):
        transform, found = PasteTextures(prob=1.0, max_num=1, size=(radius, radius)), []
        for _ in range(30):
            made = transform(surface(stripes=60))['gt_bboxes'].tensor
            found += (made[:, 2:] - made[:, :2]).amax(dim=1).tolist()
        longest[radius] = np.median(found)
    assert 0.08 * 96 < longest[0.1] < 0.2 * 96 and 2.2 < longest[0.3] / longest[0.1] < 4


def test_a_part_of_the_brightness_comes_along():
    np.random.seed(0)
    steps = []
    for _ in range(60):
        transform = PasteTextures(prob=1.0, max_num=1)
        transform(surface(level=180))
        made = transform(surface(level=100))
        if not len(made['gt_bboxes']):  # as bright as around: nothing is seen
            assert np.unique(made['img']).tolist() == [100]
            continue
        mean = made['gt_bboxes'].tensor[0].reshape(2, 2).mean(0).round().int().tolist()
        steps.append(float(made['img'][mean[1], mean[0], 0]) - 100)
    assert -0.11 * 80 < min(steps) < 10 and 45 < max(steps) < 0.71 * 80


def test_share_of_the_images_memory_and_shapes():
    np.random.seed(0)
    transform = PasteTextures(prob=0.25, memory=1)
    changed = sum(len(transform(surface(stripes=60 * (number % 2)))['gt_bboxes']) > 0 for number in range(200))
    assert 30 < changed < 70
    # only the last two are remembered: no stripes are left
    transform = PasteTextures(prob=1.0, memory=2)
    for stripes in (60, 0, 0, 0):
        made = transform(surface(stripes=stripes))
    assert np.unique(made['img']).tolist() == [100]
    # images of another size are scaled, grey ones are no donors for colour, small ones stay as they are
    transform = PasteTextures(prob=1.0)
    transform(surface(stripes=60, size=(48, 64), dtype=np.float32))
    grey = dict(surface(), img=np.full((96, 128), 100, np.float32))
    assert len(transform(grey)['gt_bboxes']) == 0
    made = transform(surface(dtype=np.float32))
    assert len(made['gt_bboxes']) >= 1 and made['img'].dtype == np.float32 and made['img'].shape == (96, 128, 3)
    assert len(transform(dict(surface(), img=np.full((96, 128), 90, np.float32)))['gt_bboxes']) >= 1
    assert len(transform(surface(size=(31, 200)))['gt_bboxes']) == 0


def test_masks_are_those_of_the_pieces():
    np.random.seed(0)
    transform = PasteTextures(prob=1.0, max_num=1)
    transform(surface(stripes=60))
    made = transform(dict(surface(), gt_masks=BitmapMasks(np.zeros((0, 96, 128), np.uint8), 96, 128)))
    [mask] = made['gt_masks'].to_ndarray()
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    assert made['gt_bboxes'].tensor[0].tolist() == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    off = np.abs(np.diff(made['img'][..., 0].astype(float), axis=1)) >= 30
    assert off[mask[:, 1:] == 1].mean() > 0.85 and off[mask[:, 1:] == 0].mean() < 0.02


@pytest.mark.parametrize('wrong', [dict(prob=1.5), dict(max_num=0), dict(memory=0), dict(size=(0.0, 0.3)),
                                   dict(size=(0.3, 0.1)), dict(size=(0.1, 0.6)), dict(max_overlap=-0.1)])
def test_settings_out_of_range(wrong):
    with pytest.raises(ValueError, match=r'PasteTextures needs .* got '):
        PasteTextures(**wrong)
    assert repr(PasteTextures()) == ('PasteTextures(prob=0.6, max_num=2, size=(0.08, 0.35), memory=64, '
                                     'max_overlap=0.15, label=0)')
