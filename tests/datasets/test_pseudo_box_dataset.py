from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS, DefaultScope

import agssp_mm  # noqa: F401
from agssp_mm.datasets import pseudo_box_dataset
from agssp_mm.datasets.pseudo_box_dataset import PseudoBoxDataset
from agssp_mm.images import list_images
from agssp_mm.maps.box_cache import load_or_make_boxes
from agssp_mm.maps.coco import boxes_to_coco, write_coco
from agssp_mm.maps.generate import generate_maps
from agssp_mm.maps.paper_boxes import PaperBoxRule
from agssp_mm.maps.store import MapStore

RULE = dict(type='PaperBoxRule', offset=20.0)


@pytest.fixture
def store(image_folder, toy_teacher, tmp_path):
    images = list_images(image_folder, sources={'flat': 'deep', 'rest': tmp_path / 'rest.txt'}
                         if (tmp_path / 'rest.txt').exists() else None)
    generate_maps(images, toy_teacher, tmp_path / 'store')
    return str(tmp_path / 'store')


def build(image_folder, store, **kwargs):
    return PseudoBoxDataset('images', store, data_root=str(image_folder.parent), **{'rule': RULE, **kwargs})


def bright_square(path):
    """Half-open box of the 8x8 square that ``image_folder`` draws."""
    from PIL import Image
    rows, columns = np.nonzero(np.asarray(Image.open(path)) == 200)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_every_defect_gets_a_box_around_it(image_folder, store):
    dataset = build(image_folder, store)
    assert len(dataset) == 12 and dataset.metainfo['classes'] == ('anomaly', )
    for info in map(dataset.get_data_info, range(12)):
        assert (info['height'], info['width'], info['gt_label']) == (32, 24, 0)
        instance = info['instances'][0]
        assert (instance['bbox_label'], instance['ignore_flag']) == (0, 0) and 0 < instance['score'] <= 1
        # the map has one cell per 4 pixels, so an edge may be off by one cell
        np.testing.assert_allclose(instance['bbox'], bright_square(info['img_path']), atol=4)
    assert dataset.get_cat_ids(0) == [0] * len(dataset.get_data_info(0)['instances'])


def test_images_of_which_nothing_would_be_left_are_named_and_left_out(image_folder, toy_teacher, tmp_path, monkeypatch):
    from PIL import Image
    long = np.random.default_rng(0).integers(0, 255, (16, 320), np.uint8)
    Image.fromarray(long).save(image_folder / 'long.png')
    generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'maps')
    assert len(build(image_folder, str(tmp_path / 'maps'), max_ratio=20.0)) == 13
    said = []
    monkeypatch.setattr(pseudo_box_dataset, 'print_log', lambda text, **_: said.append(text))
    dataset = build(image_folder, str(tmp_path / 'maps'), max_ratio=19.0)
    assert len(dataset) == 12 and not any('long.png' in info['img_path'] for info in dataset.data_list)
    held_out = build(image_folder, str(tmp_path / 'maps'), max_ratio=19.0, rule=None, held_out=11, test_mode=True)
    assert len(held_out) == 11 and not any('long.png' in info['img_path'] for info in held_out.data_list)
    assert said[0].startswith('1 of 13 images are left out, because their longer side is more than 19 times the '
                              'shorter: long.png; cut them')
    with pytest.raises(ValueError, match='max_ratio=1 leaves none of 13 images, e.g. .* x .* pixels'):
        build(image_folder, str(tmp_path / 'maps'), max_ratio=1.0)
    with pytest.raises(ValueError, match='max_ratio is that of the longer to the shorter side and must be >= 1'):
        build(image_folder, str(tmp_path / 'maps'), max_ratio=0.5)


def test_names_do_not_change_order_boxes_or_labels(image_folder, toy_teacher, store, tmp_path):
    renamed = tmp_path / 'other' / 'images'
    renamed.mkdir(parents=True)
    for number, path in enumerate(sorted(image_folder.rglob('*.png'), reverse=True)):
        (renamed / f'{number}.png').write_bytes(path.read_bytes())
    generate_maps(list_images(renamed), toy_teacher, tmp_path / 'other' / 'store')
    first, second = build(image_folder, store), build(renamed, str(tmp_path / 'other' / 'store'))
    for index in range(12):
        one, two = first.get_data_info(index), second.get_data_info(index)
        assert one['instances'] == two['instances'] and one['gt_label'] == two['gt_label']
        assert Path(one['img_path']).read_bytes() == Path(two['img_path']).read_bytes()


def test_pipeline_feeds_a_real_detector_with_masks(image_folder, store):
    DefaultScope.get_instance('pseudo-boxes', scope_name='mmdet')
    dataset = DATASETS.build(dict(
        type='PseudoBoxDataset', images='images', data_root=str(image_folder.parent), store=store, rule=RULE,
        with_mask=True, pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
            dict(type='RandomFlip', prob=1.0),
            dict(type='PackDetInputs')]))
    sample = dataset[0]['data_samples']
    info = dataset.get_data_info(0)
    boxes = sample.gt_instances.bboxes.tensor
    x1, y1, x2, y2 = info['instances'][0]['bbox']
    torch.testing.assert_close(boxes[0], torch.tensor([24 - x2, y1, 24 - x1, y2]))
    mask = sample.gt_instances.masks.masks[0]
    rows, columns = np.nonzero(mask)
    np.testing.assert_allclose([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], boxes[0], atol=1.5)


def test_sources_become_labels(image_folder, toy_teacher, tmp_path):
    (tmp_path / 'rest.txt').write_text(''.join(f'{n:02d}.png\n' for n in range(10)))
    images = list_images(image_folder, sources={'flat': 'deep', 'rest': tmp_path / 'rest.txt'})
    generate_maps(images, toy_teacher, tmp_path / 'store')
    dataset = build(image_folder, str(tmp_path / 'store'), rule=None)
    assert dataset.metainfo['sources'] == ('flat', 'rest')
    for info in map(dataset.get_data_info, range(12)):
        assert info['gt_label'] == (0 if '/deep/' in info['img_path'] else 1) and info['instances'] == []


def test_held_out_images_and_filters_share_nothing(image_folder, store):
    paths = [{info['img_path'] for info in map(dataset.get_data_info, range(len(dataset)))}
             for dataset in (build(image_folder, store, held_out=3),
                             build(image_folder, store, held_out=3, test_mode=True))]
    assert (len(paths[0]), len(paths[1])) == (9, 3) and not paths[0] & paths[1]
    with pytest.raises(ValueError, match='held_out must be between 0 and 11 for 12 images, got 12'):
        build(image_folder, store, held_out=12)
    with pytest.raises(ValueError, match="filter_cfg={'min_size': 25} leaves none of 12 images"):
        build(image_folder, store, filter_cfg=dict(min_size=25))
    with pytest.raises(ValueError, match=r"got \['min_bbox'\]"):
        build(image_folder, store, filter_cfg=dict(min_bbox=1))


def test_empty_images_are_kept_unless_filtered(image_folder, store):
    strict = dict(type='PaperBoxRule', offset=0.0)  # only maps above the mean peak get a box
    kept = build(image_folder, store, rule=strict)
    empty = sum(not info['instances'] for info in map(kept.get_data_info, range(12)))
    assert len(kept) == 12 and 0 < empty < 12
    assert len(build(image_folder, store, rule=strict, filter_cfg=dict(filter_empty_gt=True))) == 12 - empty


def test_images_without_map_or_gone_since(image_folder, store):
    (image_folder / '00.png').unlink()
    assert len(build(image_folder, store)) == 11
    (image_folder / 'new.png').write_bytes((image_folder / '01.png').read_bytes())
    with pytest.raises(ValueError, match=r"1 of 12 images of images have no map in .*, e.g. \['new.png'\]"):
        build(image_folder, store)


def test_maps_that_are_gone_or_of_other_images_stop_before_training(image_folder, store):
    path = Path(store) / '03.png.png'
    data = path.read_bytes()
    path.unlink()
    with pytest.raises(ValueError, match=r"1 of 12 maps of the store .* are gone, e.g. those of \['03.png'\]"):
        build(image_folder, store)
    path.write_bytes(data)
    build(image_folder, store)
    for image in image_folder.rglob('*.png'):
        image.write_bytes(image.read_bytes() + b' ')
    with pytest.raises(ValueError, match=r'12 of 12 images .* other images of the same names'):
        build(image_folder, store)


def test_wrong_settings_are_refused(image_folder, store, tmp_path):
    with pytest.raises(ValueError, match='with_mask=True needs a box rule'):
        build(image_folder, store, rule=None, with_mask=True)
    faintest = min(MapStore.open(store).index, key=lambda record: record.peak).name
    (tmp_path / 'one.txt').write_text(faintest)
    with pytest.raises(ValueError, match=r'no pseudo box in any of 1 images \(PaperBoxRule\)'):
        PseudoBoxDataset(str(tmp_path / 'one.txt'), store, dict(type='PaperBoxRule', offset=0.0),
                         image_root=str(image_folder))
    with pytest.raises(FileNotFoundError, match='no map store at'):
        build(image_folder, str(tmp_path / 'nowhere'))


def test_finished_boxes_take_the_place_of_a_rule(image_folder, store, tmp_path):
    by_rule = build(image_folder, store)
    maps = MapStore.open(store)
    rule = PaperBoxRule(offset=20.0)
    coco = boxes_to_coco(load_or_make_boxes(maps, rule), maps.index, rule)
    write_coco(tmp_path / 'boxes.json', coco)
    finished = build(image_folder, store, rule=None, boxes=str(tmp_path / 'boxes.json'))
    for one, two in zip(map(by_rule.get_data_info, range(12)), map(finished.get_data_info, range(12)), strict=True):
        assert one['img_path'] == two['img_path'] and len(one['instances']) == len(two['instances']) > 0
        for wanted, found in zip(one['instances'], two['instances'], strict=True):
            np.testing.assert_allclose(found['bbox'], wanted['bbox'], atol=0.006)
            assert found['score'] == pytest.approx(wanted['score'], abs=1e-6)
    gone = coco['images'].pop()
    coco['annotations'] = [each for each in coco['annotations'] if each['image_id'] != gone['id']]
    write_coco(tmp_path / 'fewer.json', coco)
    with pytest.raises(ValueError, match='1 of 12 images are not in .*fewer.json'):
        build(image_folder, store, rule=None, boxes=str(tmp_path / 'fewer.json'))
    with pytest.raises(ValueError, match='give one of them and set the other to None'):
        build(image_folder, store, boxes=str(tmp_path / 'boxes.json'))
    coco['annotations'] = []
    coco['images'].append(gone)
    write_coco(tmp_path / 'none.json', coco)
    with pytest.raises(ValueError, match=r'no pseudo box in any of 12 images \(.*none.json\)'):
        build(image_folder, store, rule=None, boxes=str(tmp_path / 'none.json'))
    with pytest.raises(ValueError, match='with_mask=True needs a box rule'):
        build(image_folder, store, rule=None, boxes=str(tmp_path / 'boxes.json'), with_mask=True)


def test_names_of_classes_for_detectors_that_read_them(image_folder, store):
    info = build(image_folder, store, return_classes=True).get_data_info(0)
    assert (info['text'], info['custom_entities']) == (('anomaly', ), True)
    assert 'text' not in build(image_folder, store).get_data_info(0)


def test_the_best_boxes_of_the_whole_set(image_folder, store, tmp_path, monkeypatch):
    maps, rule = MapStore.open(store), PaperBoxRule(offset=20.0)
    made = load_or_make_boxes(maps, rule)  # one box each, all of one score
    found = {name: each._replace(scores=np.array([number / 16], np.float32))
             for number, (name, each) in enumerate(made.items(), 1)}
    monkeypatch.setattr('agssp_mm.datasets.pseudo_box_dataset.load_or_make_boxes', lambda *_: found)
    infos = list(build(image_folder, store, per_image=0.5, with_mask=True))
    kept = [instance for info in infos for instance in info['instances']]
    assert len(infos) == 12 and sorted(each['score'] * 16 for each in kept) == [7, 8, 9, 10, 11, 12]
    assert all(instance['mask'] for instance in kept)
    write_coco(tmp_path / 'boxes.json', boxes_to_coco(found, maps.index, rule))
    finished = build(image_folder, store, rule=None, boxes=str(tmp_path / 'boxes.json'), per_image=0.5)
    assert [len(info['instances']) for info in finished] == [len(info['instances']) for info in infos]
    # what is held out takes no part in the choice
    trained_on = build(image_folder, store, per_image=0.5, held_out=4)
    assert sum(len(info['instances']) for info in trained_on) == 4
    with pytest.raises(ValueError, match='must be > 0 and finite, got 0'):
        build(image_folder, store, per_image=0)
    with pytest.raises(ValueError, match='chooses among boxes'):
        build(image_folder, store, rule=None, per_image=1.0)
