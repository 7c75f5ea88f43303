"""Deep images: the stages read the grey values that the teacher saw."""
import json

import cv2
import numpy as np
import pytest
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from PIL import Image

from agssp_mm.images import list_images, read_image
from agssp_mm.maps.generate import generate_maps
from agssp_mm.maps.store import MapStore
from agssp_mm.recipes import InputNeeds, derive_agbp, derive_agdp, derive_finetune, read_detector
from agssp_mm.recipes.image_loading import check_labelled, choose_loader
from agssp_mm.teachers.texture import TextureTeacher

RANGE = (100, 3000)
PLAIN = dict(type='LoadImageFromFile')


@pytest.fixture
def images(tmp_path):
    """Twelve-bit values in 16-bit files of 64 x 64 pixels, two of a dark source and two of a bright one."""
    for source, offset in (('dark', 100), ('bright', 2000)):
        (tmp_path / 'data' / 'images' / source).mkdir(parents=True)
        for number in range(2):
            image = np.random.default_rng(number).integers(offset, offset + 1000, (64, 64), dtype=np.uint16)
            cv2.imwrite(str(tmp_path / 'data' / 'images' / source / f'{number}.png'), image)
    return list_images(tmp_path / 'data' / 'images', sources=dict(dark='dark', bright='bright'))


def test_turned_webp_images_are_read_as_the_teacher_read_them(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 64, 3), np.uint8)).save(tmp_path / 'x.webp',
                                                                                           exif=turned)
    loader = choose_loader(list_images(tmp_path), tmp_path / 'store', is_made=False)
    read = Compose([loader])(dict(img_path=str(tmp_path / 'x.webp')))['img']
    assert read.shape == (64, 40, 3)
    np.testing.assert_array_equal(read, read_image(tmp_path / 'x.webp'))


@pytest.fixture
def pipelines(shrunk, settings):
    """The pipelines of all stages that read with a transform."""
    def pipelines_with(loader):
        detector = read_detector(shrunk('retinanet/retinanet_r18_fpn_1x_coco.py'), downloads=False)
        chosen, needs = settings(image_loader=loader, held_out=1), InputNeeds(32)
        agbp, agdp, finetune = (derive(detector, chosen, needs=needs)
                                for derive in (derive_agbp, derive_agdp, derive_finetune))
        loaders = dict(agbp=agbp.train_dataloader, agbp_val=agbp.val_dataloader, agdp=agdp.train_dataloader,
                       finetune=finetune.train_dataloader, finetune_val=finetune.val_dataloader,
                       finetune_test=finetune.test_dataloader)
        return {name: one.dataset.pipeline for name, one in loaders.items()}
    return pipelines_with


def make_maps(images, tmp_path, **ranges):
    generate_maps(images, TextureTeacher(), tmp_path / 'maps', **ranges)
    return MapStore.open(tmp_path / 'maps')


def assert_reads(pipelines, path, value_range):
    """All pipelines read a file with this range; the one of the evaluation hands just these pixels on."""
    init_default_scope('mmdet')
    expected = read_image(path, value_range)
    for name, pipeline in pipelines.items():
        image = Compose(pipeline[:1])(dict(img_path=str(path), img_id=0))['img']
        np.testing.assert_array_equal(image, expected, err_msg=name)
    packed = Compose(pipelines['finetune_test'])(dict(img_path=str(path), img_id=0, instances=[]))
    np.testing.assert_array_equal(packed['inputs'].numpy(), expected.transpose(2, 0, 1))


def test_a_range_stands_in_the_pipelines(images, pipelines, tmp_path):
    loader = choose_loader(images, tmp_path / 'maps', False, value_range=RANGE)
    assert loader == dict(type='LoadIndustrialImage', value_range=RANGE)
    assert_reads(pipelines(loader), images.root / 'bright' / '1.png', RANGE)


def test_measured_ranges_come_from_the_store(images, pipelines, tmp_path):
    loader = choose_loader(images, tmp_path / 'maps', False, value_percentiles=(1, 99))
    scaling = make_maps(images, tmp_path, value_percentiles=(1, 99)).scaling
    for source in images.sources:
        assert_reads(pipelines(loader), images.root / source / '1.png', scaling.of(source))


def test_a_store_of_one_source_has_a_range_for_labelled_images_elsewhere(images, pipelines, tmp_path):
    images = list_images(images.root / 'dark')
    loader = choose_loader(images, tmp_path / 'maps', False, value_percentiles=(1, 99))
    scaling = make_maps(images, tmp_path, value_percentiles=(1, 99)).scaling
    assert_reads(pipelines(loader), images.root.parent / 'bright' / '1.png', scaling.of('images'))


def test_finished_maps_tell_the_range(images, tmp_path):
    store = make_maps(images, tmp_path, value_range=RANGE).path
    assert choose_loader(images, store, True) == dict(type='LoadIndustrialImage', value_range=RANGE)
    assert choose_loader(images, store, True, value_range=RANGE) == choose_loader(images, store, True)
    for given in (dict(value_range=(0, 9)), dict(value_percentiles=(1, 99))):
        with pytest.raises(ValueError, match='was given, but the maps in .* were made with'):
            choose_loader(images, store, True, **given)


def test_without_a_range_mmdetections_own_transform_reads(images, pipelines, tmp_path):
    assert choose_loader(images, tmp_path / 'maps', False) == PLAIN
    assert all(pipeline[0] == PLAIN for pipeline in pipelines(PLAIN).values())
    with pytest.raises(ValueError, match='were both given'):
        choose_loader(images, tmp_path / 'maps', False, value_range=RANGE, value_percentiles=(1, 99))


def test_labelled_images_of_an_unknown_source_are_refused(images, tmp_path):
    loader = choose_loader(images, tmp_path / 'maps', False, value_percentiles=(1, 99))
    (images.root.parent / 'more.png').write_bytes((images.root / 'dark' / '0.png').read_bytes())
    for names, folder in ((['dark/0.png'], images.root), (['images/bright/1.png'], images.root.parent)):
        check_labelled(loader, images, labels(tmp_path, names), folder)
    file = labels(tmp_path, ['images/dark/1.png', 'more.png'])
    with pytest.raises(ValueError, match=r"1 of 2 images of .* not among the unlabelled ones, e.g. \['more.png'\]"):
        check_labelled(loader, images, file, images.root.parent)
    check_labelled(dict(type='LoadIndustrialImage', value_range=RANGE), images, file, images.root.parent)
    check_labelled(loader, list_images(images.root), file, images.root.parent)


def labels(folder, names):
    path = folder / 'labels.json'
    path.write_text(json.dumps(dict(images=[dict(id=number, file_name=name) for number, name in enumerate(names)])))
    return path
