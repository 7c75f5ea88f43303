import numpy as np
import pytest
import torch
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.registry import TRANSFORMS

from agssp_mm.datasets.synthetic.defects import CATEGORIES, Defect
from agssp_mm.datasets.transforms import paste_defects
from agssp_mm.datasets.transforms.paste_defects import PasteDefects


def surface(boxes=(), size=(96, 128), level=120, dtype=np.uint8):
    """A quiet surface with boxes: whatever changes was pasted."""
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return dict(img=np.full((*size, 3), level, dtype), gt_bboxes=HorizontalBoxes(boxes),
                gt_bboxes_labels=np.zeros(len(boxes), np.int64), gt_ignore_flags=np.zeros(len(boxes), bool))


def changed_columns_and_rows(image, level=120):
    off = np.abs(image.astype(float) - level).max(axis=2)
    off = off > 0.4 * off.max()
    columns, rows = np.flatnonzero(off.any(axis=0)), np.flatnonzero(off.any(axis=1))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


@pytest.mark.parametrize('category', ['scratch', 'pit', 'inclusion', 'crack', 'patch', 'scale'])
def test_the_boxes_are_those_of_what_was_pasted(category):
    np.random.seed(3)
    transform = TRANSFORMS.build(dict(type='PasteDefects', prob=1.0, max_num=1, categories=[category]))
    for _ in range(5):
        made = transform(surface())
        assert made['gt_bboxes'].tensor.shape == (1, 4)
        assert made['gt_bboxes_labels'].tolist() == [0]
        assert made['gt_ignore_flags'].tolist() == [False]
        assert made['img'].dtype == np.uint8
        # where a defect covers half of a pixel its box ends; ends of scratches and single flakes are fainter
        assert made['gt_bboxes'].tensor[0].tolist() == pytest.approx(changed_columns_and_rows(made['img']), abs=6)


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_what_would_not_show_is_left_out(dtype):
    """The contrast is a share of the brightness: on black, beside a part, there is none."""
    np.random.seed(0)
    numbers = []
    for _ in range(40):
        image = surface(dtype=dtype)
        image['img'][:, :64] = 0
        before = image['img'].astype(float)
        made = PasteDefects(prob=1.0, max_num=3, label=list(range(6)))(image)
        numbers.append(len(made['gt_bboxes']))
        for box in made['gt_bboxes'].tensor.numpy().astype(int):
            assert np.abs(made['img'] - before)[box[1]:box[3], box[0]:box[2]].max() > 4
        assert len(made['gt_bboxes_labels']) == len(made['gt_ignore_flags']) == numbers[-1]
    assert set(numbers) >= {0, 1, 2}


def test_boxes_that_were_there_stay_and_are_kept_clear():
    np.random.seed(0)
    there, added = [10.0, 8.0, 60.0, 70.0], []
    for _ in range(20):
        made = PasteDefects(prob=1.0, max_num=3, max_overlap=0.0, label=2)(surface([there]))
        boxes = made['gt_bboxes'].tensor
        assert boxes[0].tolist() == there
        assert made['gt_bboxes_labels'].tolist() == [0] + [2] * (len(boxes) - 1)
        sides = torch.minimum(boxes[1:, 2:], boxes[0, 2:]) - torch.maximum(boxes[1:, :2], boxes[0, :2])
        assert (sides.clamp(min=0).prod(1) == 0).all()
        assert (made['img'][8:70, 10:60] == 120).mean() > 0.97  # soft edges may reach in
        added.append(len(boxes) - 1)
    assert set(added) >= {1, 2}
    assert max(added) <= 3


def areas_by_label(transform, images=60):
    np.random.seed(1)
    found = {}
    for _ in range(images):
        one = transform(surface())
        sides = one['gt_bboxes'].tensor[:, 2:] - one['gt_bboxes'].tensor[:, :2]
        for label, area in zip(one['gt_bboxes_labels'].tolist(), sides.prod(1).tolist(), strict=True):
            found.setdefault(label, []).append(area)
    return {label: np.median(areas) for label, areas in found.items()}


def test_every_kind_has_its_class():
    settings = dict(prob=1.0, max_num=2)
    [patch] = areas_by_label(PasteDefects(**settings, categories=['patch'])).values()
    [pit] = areas_by_label(PasteDefects(**settings, categories=['pit'])).values()
    assert patch > 3 * pit
    found = areas_by_label(PasteDefects(**settings, categories=['patch', 'pit'], label=[4, 2]))
    assert set(found) == {2, 4}
    assert found[4] > 1.5 * found[2]  # so the labels belong to what was drawn


def test_as_many_classes_as_kinds():
    with pytest.raises(ValueError, match='one for each of.*got \\[1, 2\\]'):
        PasteDefects(label=[1, 2])


def test_the_share_of_images_and_the_seed():
    np.random.seed(5)
    made = [PasteDefects(prob=0.25)(surface()) for _ in range(80)]
    changed = [one for one in made if len(one['gt_bboxes'].tensor)]
    assert 10 <= len(changed) <= 30
    np.random.seed(5)
    again = [PasteDefects(prob=0.25)(surface()) for _ in range(80)]
    assert all((one['img'] == two['img']).all() for one, two in zip(made, again, strict=True))
    assert all((one['img'] == 120).all() for one in made if not len(one['gt_bboxes'].tensor))


def test_a_darker_image_gets_as_much_less_contrast():
    def strongest(level):
        np.random.seed(7)
        made = PasteDefects(prob=1.0, max_num=1, categories=['patch'])(surface(level=level, dtype=np.float32))
        assert made['img'].dtype != np.uint8
        return np.abs(made['img'] - level).max()

    assert strongest(200.0) == pytest.approx(4 * strongest(50.0), rel=1e-3)


@pytest.mark.parametrize('kind', [BitmapMasks, PolygonMasks])
def test_detectors_of_masks_get_the_masks(kind):
    np.random.seed(2)
    image = surface()
    image['gt_masks'] = kind(np.zeros((0, 96, 128), np.uint8) if kind is BitmapMasks else [], 96, 128)
    made = PasteDefects(prob=1.0, max_num=1, categories=['inclusion'])(image)
    assert len(made['gt_masks']) == 1
    assert isinstance(made['gt_masks'], kind)
    mask = made['gt_masks'].to_ndarray()[0]
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    assert made['gt_bboxes'].tensor[0].tolist() == found


@pytest.mark.parametrize('category', CATEGORIES)
def test_polygons_cover_the_pixels_of_the_bitmaps(category):
    there = {BitmapMasks: np.zeros((0, 192, 224), np.uint8), PolygonMasks: []}
    for seed in range(4):
        made = {}
        for kind, empty in there.items():
            np.random.seed(seed)
            image = dict(surface(size=(192, 224)), gt_masks=kind(empty, 192, 224))
            made[kind] = PasteDefects(prob=1.0, max_num=1, categories=[category])(image)['gt_masks']
        bitmaps, polygons = made[BitmapMasks].to_ndarray() > 0, made[PolygonMasks].to_ndarray() > 0
        assert bitmaps.sum() <= polygons.sum() <= 1.04 * bitmaps.sum()  # holes are filled
        assert (polygons >= bitmaps).all()
        boxes = [one.get_bboxes('hbox').tensor.tolist() for one in made.values()]
        assert boxes[0] == boxes[1]


def test_tiny_images_stay_as_they_are():
    made = PasteDefects(prob=1.0)(surface(size=(31, 200)))
    assert (made['img'] == 120).all()
    assert len(made['gt_bboxes'].tensor) == 0


@pytest.mark.parametrize('setting', [dict(prob=1.5), dict(max_num=0), dict(max_overlap=-0.1), dict(contrast=(0.4, 0.1)),
                                     dict(contrast=(0.0, 0.1))])
def test_bad_settings(setting):
    with pytest.raises(ValueError, match=r'needs prob and max_overlap in \[0, 1\], max_num >= 1'):
        PasteDefects(**setting)


@pytest.mark.parametrize('categories', [[], ['scratch', 'rust']])
def test_unknown_categories(categories):
    with pytest.raises(ValueError, match='draws the categories scratch, pit, inclusion, crack, patch, scale; got'):
        PasteDefects(categories=categories)


def test_large_images_get_large_defects():
    np.random.seed(4)
    sides = []
    for _ in range(6):
        made = PasteDefects(prob=1.0, max_num=1, categories=['patch'])(surface(size=(700, 900)))
        box = made['gt_bboxes'].tensor[0]
        assert box.tolist() == pytest.approx(changed_columns_and_rows(made['img']), abs=20)
        sides.append(float((box[2:] - box[:2]).max()))
    assert max(sides) > 150


def test_a_line_of_one_pixel_has_a_polygon(monkeypatch):
    line = np.zeros((96, 128), np.float32)
    line[40, 20:60] = 1
    monkeypatch.setattr(paste_defects, 'make_defect', lambda *_: Defect(line, line, 0.3))
    image = dict(surface(), gt_masks=PolygonMasks([], 96, 128))
    made = PasteDefects(prob=1.0, max_num=1)(image)
    assert made['gt_bboxes'].tensor.tolist() == [[20, 40, 60, 41]]
    assert sorted(made['gt_masks'].masks[0][0].reshape(-1, 2).tolist()) == [[20, 40], [20, 41], [60, 40], [60, 41]]
