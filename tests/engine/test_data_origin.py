import hashlib

from agssp_mm.engine.data_origin import describe_data
from agssp_mm.images import list_images
from agssp_mm.maps.generate import generate_maps


def test_stores_and_annotations_are_found_wherever_they_stand(image_folder, toy_teacher, tmp_path):
    images = list_images(image_folder)
    store = str(tmp_path / 'store')
    generate_maps(images, toy_teacher, store)
    (tmp_path / 'coco.json').write_text('{}')
    generator = dict(type='AnomalyMapGenerator', store=store)
    labelled = dict(type='CocoDataset', data_root=str(tmp_path), ann_file='coco.json', pipeline=[generator])
    loader = dict(batch_size=2, dataset=dict(type='ConcatDataset', datasets=[
        dict(type='RepeatDataset', dataset=dict(type='PseudoBoxDataset', store=store)), labelled]))
    first, second = describe_data(loader)
    assert first['store'] == store and first['teacher']['type'] == 'ToyTeacher'
    assert first['images']['fingerprint'] == images.fingerprint() and first['images']['number'] == 12
    assert second == dict(ann_file='coco.json', sha256=hashlib.sha256(b'{}').hexdigest())


def test_what_is_gone_is_named_all_the_same(tmp_path):
    assert describe_data(dict(dataset=dict(store='gone', ann_file=''))) == [dict(store='gone')]
    assert describe_data(None) == []
