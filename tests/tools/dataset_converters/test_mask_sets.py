"""Casting Billet, Steel Pipe and magnetic tiles: made files in their layouts."""
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from pycocotools import mask as coco_mask

BASE = Path(__file__).parents[3] / 'configs' / '_base_' / 'datasets'


def mask_with(*parts, width=40, height=30):
    """A mask of zeros with rectangles (value, x1, y1, x2, y2)."""
    mask = np.zeros((height, width), np.uint8)
    for value, x1, y1, x2, y2 in parts:
        mask[y1:y2, x1:x2] = value
    return mask


def casting(root, made, with_labels=True):
    """Six defective images of two kinds, two clean ones."""
    for kind, number in (('Sc', 0), ('WSM', 3)):
        for index in range(4):
            stem = f'{kind}_{index}'
            made.image(root / 'images' / f'{stem}.jpg')
            made.image(root / 'mask' / f'{stem}.png', values=mask_with((1, 4, 6, 14, 12), (2, 20, 10, 30, 26)))
            if with_labels:
                (root / 'labels').mkdir(exist_ok=True)
                # centres 9, 9 and 25, 18; sizes 10x6 and 10x16 of 40x30
                (root / 'labels' / f'{stem}.txt').write_text(
                    f'{number} 0.225 0.3 0.25 0.2\n\n{number} 0.625 0.6 0.25 0.533333\n')
    for index in range(4):
        made.image(root / 'images' / f'good_{index}.jpg')


@pytest.mark.parametrize('with_labels', [True, False])
def test_casting_billet_from_labels_and_masks_or_masks_alone(tmp_path, made, convert, with_labels):
    casting(tmp_path, made, with_labels)
    done = convert('casting_billet')
    boxes = {**made.boxes_of(done.train), **made.boxes_of(done.val)}
    assert len(boxes) == 12 and boxes['images/good_0.jpg'] == []
    assert boxes['images/WSM_0.jpg'] == [
        ('water slag mark', [4.0, 6.0, 10.0, 6.0]), ('water slag mark', [20.0, 10.0, 10.0, 16.0])]
    assert [one[0] for one in boxes['images/Sc_3.jpg']] == ['scratch', 'scratch']
    second = done.train['annotations'][1]
    decoded = coco_mask.decode(second['segmentation'])
    assert second['area'] == 160 and np.array_equal(decoded, mask_with((1, 20, 10, 30, 26)))
    assert 'warning: images: 12, published are 1060' in done.out
    assert 'warning: boxes of scratch: 8, published are 474' in done.out


def test_casting_billet_keeps_its_own_split(tmp_path, made, convert):
    casting(tmp_path, made)
    (tmp_path / 'train_mini_500.txt').write_text('/far/away/images/Sc_0.jpg\n/far/away/images/good_1.jpg\n')
    (tmp_path / 'val.txt').write_text('images/WSM_1.jpg\nSc_3.jpg\ngone.jpg\n')
    done = convert('casting_billet')
    assert sorted(made.boxes_of(done.train)) == ['images/Sc_0.jpg', 'images/good_1.jpg']
    assert sorted(made.boxes_of(done.val)) == ['images/Sc_3.jpg', 'images/WSM_1.jpg']
    assert '8 in neither' in done.out and 'val.txt: gone.jpg is listed, but was not read' in done.out
    (tmp_path / 'val.txt').write_text('Sc_0.jpg\n')
    assert 'Sc_0.jpg is in both train_mini_500.txt and val.txt' in convert('casting_billet').err


def pipe(root, made):
    (root / 'labels').mkdir()
    for index in range(8):
        made.image(root / 'images' / f'{index}.jpg')
        if index < 6:
            made.image(root / 'mask' / f'{index}.png', values=mask_with((255, 4, 6, 14, 12), (255, 20, 10, 30, 26)))
            (root / 'labels' / f'{index}.txt').write_text(f'{index % 4} 0.225 0.3 0.25 0.2\n')
    (root / 'labels' / '6.txt').write_text('')


def test_steel_pipe(tmp_path, made, convert):
    pipe(tmp_path, made)
    done = convert('steel_pipe', '--val-share', '0.4')
    boxes = {**made.boxes_of(done.train), **made.boxes_of(done.val)}
    box = [4.0, 6.0, 10.0, 6.0]
    assert [boxes[f'images/{index}.jpg'] for index in range(4)] == [
        [(name, box)] for name in ('warp', 'external fold', 'wrinkle', 'scratch')]
    assert boxes['images/6.jpg'] == boxes['images/7.jpg'] == []
    assert all(one['area'] == 60 for one in done.train['annotations'])  # of one value: what is inside the box
    assert 'images with defects: 6, published are 554' in done.out


def test_labels_and_masks_that_disagree_are_listed(tmp_path, made, convert):
    pipe(tmp_path, made)
    (tmp_path / 'labels' / '0.txt').write_text('')
    (tmp_path / 'labels' / '1.txt').write_text('1 0.9 0.1 0.1 0.1\n')
    (tmp_path / 'labels' / '2.txt').write_text('2 0.5 0.5\n')
    made.image(tmp_path / 'mask' / '3.png', width=20)
    done = convert('steel_pipe', '--val-share', '0.4')
    boxes = {**made.boxes_of(done.train), **made.boxes_of(done.val)}
    assert not {'images/0.jpg', 'images/2.jpg'} & set(boxes)
    assert boxes['images/1.jpg'] == [('external fold', [34.0, 1.5, 4.0, 3.0])]
    for line in ('mask/0.png: a defect in the mask, but none in the labels', 'mask/1.png: nothing inside a box of '
                 'external fold; box kept', "labels/2.txt: line 1 is '2 0.5 0.5'",
                 'mask/3.png: the mask has 20x30 pixels, its image 40x30'):
        assert line in done.out, line


def test_unknown_classes_of_labels_and_names_are_errors(tmp_path, made, convert):
    pipe(tmp_path, made)
    (tmp_path / 'labels' / '0.txt').write_text('4 0.5 0.5 0.1 0.1\n')
    assert 'labels/0.txt: unknown class 4 in line 1; allowed are 0 warp, 1 external fold' in convert('steel_pipe').err


def test_masks_alone_need_names_that_tell_the_class(tmp_path, made, convert):
    casting(tmp_path, made, with_labels=False)
    assert 'has masks but no labels' in convert('steel_pipe').err
    made.image(tmp_path / 'images' / 'Xy_1.jpg')
    made.image(tmp_path / 'mask' / 'Xy_1.png', values=mask_with((1, 4, 6, 14, 12)))
    assert "Xy_1: unknown class 'Xy'; names of defective images start with Sc, Ws" in convert('casting_billet').err


def tiles(root, made):
    for kind in ('Blowhole', 'Crack', 'Free'):
        for tile in range(4):
            for exposure in (1, 2):
                number = f'{1 if kind == "Crack" else 2}{tile}{len(kind)}'
                stem = root / f'MT_{kind}' / 'Imgs' / f'exp{exposure}_num_{number}'
                made.image(stem.with_suffix('.jpg'))
                parts = [] if kind == 'Free' else [(255, 3, 4, 13, 9), (255, 20, 20, 25, 30), (255, 35, 1, 37, 2)]
                made.image(stem.with_suffix('.png'), values=mask_with(*parts))


def test_magnetic_tiles_have_a_box_round_each_component_and_no_tile_in_both_parts(tmp_path, made, convert):
    tiles(tmp_path, made)
    done = convert('magnetic_tile', '--val-share', '0.25')
    train, val = made.boxes_of(done.train), made.boxes_of(done.val)
    boxes = {**train, **val}
    assert boxes['MT_Blowhole/Imgs/exp1_num_208.jpg'] == [
        ('blowhole', [3.0, 4.0, 10.0, 5.0]), ('blowhole', [20.0, 20.0, 5.0, 10.0])]
    assert boxes['MT_Crack/Imgs/exp2_num_115.jpg'][0][0] == 'crack'
    assert boxes['MT_Free/Imgs/exp1_num_204.jpg'] == []
    assert len(boxes) == 24 and len(val) == 6

    def tiles_of(part):
        return {name.rpartition('_')[2] for name in part}
    assert not tiles_of(train) & tiles_of(val)
    assert '1 specks of less than 9 pixels' in done.out and 'warning: images: 24, published are 1344' in done.out


def test_magnetic_tiles_with_useless_masks_are_listed(tmp_path, made, convert):
    tiles(tmp_path, made)
    made.image(tmp_path / 'MT_Uneven' / 'Imgs' / 'exp1_num_1.jpg')
    made.image(tmp_path / 'MT_Uneven' / 'Imgs' / 'exp1_num_1.png')
    made.image(tmp_path / 'MT_Uneven' / 'Imgs' / 'exp1_num_2.jpg')
    made.image(tmp_path / 'MT_Free' / 'Imgs' / 'exp1_num_204.png', values=mask_with((255, 3, 4, 13, 9)))
    done = convert('magnetic_tile')
    boxes = {**made.boxes_of(done.train), **made.boxes_of(done.val)}
    assert len(boxes) == 23 and not any('Uneven' in name for name in boxes)
    for line in ('MT_Uneven/Imgs/exp1_num_1.jpg: empty mask; left out', 'exp1_num_2.jpg: no mask of this name',
                 'exp1_num_204.jpg: a defect in the mask of an image in MT_Free'):
        assert line in done.out, line
    (tmp_path / 'MT_Rust').mkdir()
    assert "unknown class 'MT_Rust'; allowed are MT_Blowhole" in convert('magnetic_tile').err


@pytest.mark.parametrize('name', ['casting_billet', 'steel_pipe', 'gc10'])
def test_converters_and_configs_know_the_same_classes(converters, name):
    assert tuple(Config.fromfile(str(BASE / f'{name}.py')).metainfo['classes']) == converters(name).CLASSES


@pytest.mark.parametrize('share', [0.0, 1.0])
def test_a_share_that_leaves_one_part_empty_is_refused(tmp_path, made, convert, share):
    pipe(tmp_path, made)
    assert f'must lie between 0 and 1, got {share}' in convert('steel_pipe', '--val-share', str(share)).err
