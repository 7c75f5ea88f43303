"""NEU-DET and GC10-DET: made files in their layouts."""
import pytest


def neu_flat(root, made, kinds=('crazing', 'scratches'), number=5):
    for kind in kinds:
        for index in range(number):
            made.image(root / 'IMAGES' / f'{kind}_{index}.jpg')
            made.voc(root / 'ANNOTATIONS' / f'{kind}_{index}.xml', 40, 30, (kind, 2, 3, 12 + index, 23))


def test_neu_det_in_one_folder_is_split_by_seed_with_all_kinds_in_both_parts(tmp_path, made, convert):
    neu_flat(tmp_path, made)
    done = convert('neu_det', '--seed', '3')
    boxes = {**made.boxes_of(done.train), **made.boxes_of(done.val)}
    assert boxes['IMAGES/scratches_4.jpg'] == [('scratches', [2.0, 3.0, 14.0, 20.0])]
    assert len(boxes) == 10 and len(done.val['images']) == 2
    assert {one['category_id'] for one in done.val['annotations']} == {1, 6}
    assert [one['name'] for one in done.train['categories']] == [
        'crazing', 'inclusion', 'patches', 'pitted_surface', 'rolled-in_scale', 'scratches']
    first = done.train['annotations'][0]
    assert first['area'] == first['bbox'][2] * 20 and first['iscrowd'] == 0
    assert 'drawn with seed 3' in done.out and 'warning: images: 10, published are 1800' in done.out
    again = convert('neu_det', '--seed', '3')
    assert again.val == done.val
    assert any(convert('neu_det', '--seed', str(seed)).val['images'] != done.val['images'] for seed in range(3))


def test_neu_det_with_a_split_keeps_it(tmp_path, made, convert):
    for part, number in (('train', 3), ('validation', 2)):
        for index in range(number):
            made.image(tmp_path / part / 'images' / 'patches' / f'patches_{part}{index}.jpg')
            made.voc(tmp_path / part / 'annotations' / f'patches_{part}{index}.xml', 40, 30, ('patches', 1, 1, 40, 30))
    done = convert('neu_det')
    assert sorted(made.boxes_of(done.train)) == [f'train/images/patches/patches_train{index}.jpg' for index in range(3)]
    assert sorted(made.boxes_of(done.val)) == [
        f'validation/images/patches/patches_validation{index}.jpg' for index in range(2)]
    assert 'its own split' in done.out


def test_damaged_entries_are_listed_and_left_out(tmp_path, made, convert):
    neu_flat(tmp_path, made)
    (tmp_path / 'ANNOTATIONS' / 'crazing_0.xml').write_text('<annotation><size>')
    (tmp_path / 'IMAGES' / 'crazing_1.jpg').write_bytes(b'no image')
    made.voc(tmp_path / 'ANNOTATIONS' / 'crazing_2.xml', 400, 300, ('crazing', 2, 3, 12, 23))
    made.voc(tmp_path / 'ANNOTATIONS' / 'crazing_3.xml', 40, 30, ('crazing', 5, 3, 5, 23), ('crazing', 30, 20, 55, 25))
    made.voc(tmp_path / 'ANNOTATIONS' / 'crazing_9.xml', 40, 30, ('crazing', 2, 3, 12, 23))
    made.image(tmp_path / 'IMAGES' / 'inclusion_0.jpg')
    done = convert('neu_det')
    boxes = {**made.boxes_of(done.train), **made.boxes_of(done.val)}
    assert not {f'IMAGES/{name}.jpg' for name in ('crazing_0', 'crazing_1', 'crazing_2', 'inclusion_0')} & set(boxes)
    assert boxes['IMAGES/crazing_3.jpg'] == [('crazing', [30.0, 20.0, 10.0, 5.0])]  # cut at the border
    for line in ('6 entries with problems', 'ANNOTATIONS/crazing_0.xml: no annotation in the XML of Pascal VOC',
                 'IMAGES/crazing_1.jpg: unreadable image', 'crazing_2.xml: annotated for 400x300 pixels, the image has '
                 '40x30', 'crazing_3.jpg: box (5.0, 3.0, 5.0, 23.0) of crazing covers nothing',
                 'crazing_9.xml: no image has this name', 'inclusion_0.jpg: image without an XML'):
        assert line in done.out, line


def test_an_unknown_class_is_an_error_and_nothing_is_written(tmp_path, made, convert):
    neu_flat(tmp_path, made)
    made.voc(tmp_path / 'ANNOTATIONS' / 'crazing_0.xml', 40, 30, ('rust', 2, 3, 12, 23))
    done = convert('neu_det')
    assert done.status == 2 and "crazing_0.jpg: unknown class 'rust'; allowed are crazing, inclusion" in done.err
    assert not (tmp_path / 'annotations').exists()


@pytest.mark.parametrize('name', ['neu_det', 'gc10', 'magnetic_tile'])
def test_a_folder_with_nothing_of_the_layout_is_an_error(convert, name):
    done = convert(name)
    assert done.status == 2 and '0 images and no box were found; is this the layout of' in done.err


def test_a_folder_that_does_not_exist_is_an_error(convert, tmp_path):
    tmp_path.rmdir()
    done = convert('steel_pipe')
    assert done.status == 2 and 'is no folder; give the folder that the data set was unpacked into' in done.err


def gc10(root, made):
    for burst in range(4):
        for shot in range(3):
            name = f'img_0{burst}_4240{burst}_0000{shot}'
            made.image(root / '2' / f'{name}.jpg')
            made.voc(root / 'lbl' / f'{name}.xml', 40, 30, ('2_hanfeng', 1, 2, 30, 12), ('10_yaozhed', 5, 5, 9, 9))


def test_gc10_has_english_classes_and_bursts_stay_together(tmp_path, made, convert):
    gc10(tmp_path, made)
    done = convert('gc10', '--val-share', '0.25')
    train, val = made.boxes_of(done.train), made.boxes_of(done.val)
    assert train['2/img_00_42400_00000.jpg' if '2/img_00_42400_00000.jpg' in train else next(iter(train))] == [
        ('welding line', [1.0, 2.0, 29.0, 10.0]), ('waist folding', [5.0, 5.0, 4.0, 4.0])]
    assert len(train) == 9 and len(val) == 3
    assert len({name.rpartition('_')[0] for name in val}) == 1


def test_gc10_knows_the_slips_of_its_download(tmp_path, made, convert):
    gc10(tmp_path, made)
    name = 'img_00_42400_00000'
    made.image(tmp_path / '1' / f'{name}.jpg')  # a second image of this name; its object is of folder 2
    made.voc(tmp_path / 'lbl' / 'img_01_42401_00001.xml', 40, 30)
    made.voc(tmp_path / 'lbl' / 'img_02_42402_00002.xml', 40, 30, ('d', 1, 1, 9, 9), ('2_hanfeng', 1, 2, 30, 12))
    made.image(tmp_path / '3' / 'img_09_42409_00000.jpg')
    done = convert('gc10')
    boxes = {**made.boxes_of(done.train), **made.boxes_of(done.val)}
    assert f'2/{name}.jpg' in boxes and f'1/{name}.jpg' not in boxes
    assert '2/img_01_42401_00001.jpg' not in boxes and '3/img_09_42409_00000.jpg' not in boxes
    assert boxes['2/img_02_42402_00002.jpg'] == [('welding line', [1.0, 2.0, 29.0, 10.0])]
    for line in (f'1/{name}.jpg: copy of 2/{name}.jpg in another folder', 'no object in its XML',
                 "object of the undefined class 'd'; left out", 'img_09_42409_00000.jpg: image without an XML'):
        assert line in done.out, line
