"""The made metal surfaces: same seed, same bytes; masks, boxes and COCO files tell the same truth."""
import json
import os
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from agssp_mm.datasets.synthetic import CATEGORIES, SURFACES, make_dataset, make_image
from agssp_mm.datasets.synthetic.defects import make_defect
from agssp_mm.datasets.synthetic.image import boxes_of
from agssp_mm.datasets.synthetic.noise import draw_stroke, rotated_noise, smooth_noise


def _bytes_below(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob('*.*'))}


def test_same_seed_gives_the_same_bytes():
    first, again, other = (make_image(seed, 64, clean_share=0.0) for seed in ((3, 1), (3, 1), (3, 2)))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.masks, again.masks)
    assert not np.array_equal(first.image, other.image)


def test_shapes_types_and_tight_boxes():
    made = make_image(5, (48, 80), clean_share=0.0)
    assert made.image.shape == (48, 80, 3)
    assert made.image.dtype == np.uint8
    assert made.masks.shape == (len(made.labels), 48, 80)
    for mask, (left, top, right, bottom) in zip(made.masks, made.boxes.astype(int), strict=True):
        assert mask[top:bottom, left:right].sum() == mask.sum()
        assert mask[top, left:right].any()
        assert mask[bottom - 1, left:right].any()
        assert mask[top:bottom, left].any()
        assert mask[top:bottom, right - 1].any()


def test_boxes_are_half_open():
    masks = np.zeros((1, 10, 12), bool)
    masks[0, 2:5, 7] = True
    assert boxes_of(masks).tolist() == [[7, 2, 8, 5]]


def test_all_surfaces_and_categories_occur_and_some_images_are_clean():
    made = [make_image((0, index), 48) for index in range(120)]
    assert {image.surface for image in made} == set(SURFACES)
    assert {label for image in made for label in image.labels.tolist()} == set(range(len(CATEGORIES)))
    clean = sum(len(image.labels) == 0 for image in made)
    assert 15 <= clean <= 45  # a quarter of 120, binomial


@pytest.mark.parametrize('share', [0.0, 1.0])
def test_clean_share(share):
    counts = [len(make_image((1, index), 40, clean_share=share).labels) for index in range(8)]
    assert all(count == 0 for count in counts) if share else all(count > 0 for count in counts)


def test_defects_do_not_touch_and_change_the_pixels_they_cover():
    for index in range(20):
        made = make_image((2, index), 96, clean_share=0.0)
        assert made.masks.sum(axis=0).max() <= 1
        grey = made.image.astype(float).mean(axis=2)
        for mask in made.masks:
            near = cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
            ring = near & ~made.masks.any(axis=0)
            if ring.any():
                # not a blank: the covered pixels are another population than their surroundings
                moved = abs(grey[mask].mean() - grey[ring].mean()) + abs(grey[mask].std() - grey[ring].std())
                assert moved > 0.3


@pytest.mark.parametrize('category', CATEGORIES)
def test_defect_stays_within_its_bounds(category):
    for seed in range(5):
        defect = make_defect(np.random.default_rng(seed), (64, 64), category, 0.0)
        assert 0 <= defect.support.min() <= defect.support.max() <= 1
        assert np.abs(defect.tone[defect.support == 0]).max() < np.abs(defect.tone).max() <= 1.5


def test_smooth_noise_has_the_asked_correlation():
    for sigma in (0.5, 3.0, 12.0):
        field = smooth_noise(np.random.default_rng(0), (256, 256), (sigma, sigma))
        assert field.mean() == pytest.approx(0, abs=1e-4)
        assert field.std() == pytest.approx(1, abs=1e-3)
        # white noise under a Gaussian of sigma s correlates as exp(-d^2 / 4 s^2)
        distance = max(1, round(sigma))
        measured = (field[:, distance:] * field[:, :-distance]).mean()
        assert measured == pytest.approx(np.exp(-distance ** 2 / (4 * sigma ** 2)), abs=0.12)


def test_rotated_noise_runs_along_its_angle():
    field = rotated_noise(np.random.default_rng(0), (96, 96), (1.0, 30.0), np.pi / 2)
    assert np.abs(np.diff(field, axis=0)).mean() < 0.3 * np.abs(np.diff(field, axis=1)).mean()


def test_stroke_covers_length_times_width():
    stroke = draw_stroke((40, 60), np.array([[10.0, 20.0], [50.0, 20.0]]), [3.0])
    assert stroke.sum() == pytest.approx(40 * 3, rel=0.15)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match='give at least 32'):
        make_image(0, 16)
    with pytest.raises(ValueError, match='clean_share is 2'):
        make_image(0, 32, clean_share=2)


def test_dataset_writes_what_make_image_draws(tmp_path):
    folder = make_dataset(tmp_path / 'set', 8, 48, seed=4, num_val=3, num_labelled=2)
    made = [make_image((4, index), 48) for index in range(8)]
    for index, image in enumerate(made):
        assert np.array_equal(cv2.imread(str(folder / f'images/{index:06d}.png')), image.image)
        mask = cv2.imread(str(folder / f'masks/{index:06d}.png'), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(mask == 255, image.masks.any(axis=0))
    parts = {path.stem: json.loads(path.read_text()) for path in (folder / 'annotations').iterdir()}
    ids = {name: [image['id'] for image in part['images']] for name, part in parts.items()}
    assert ids == {'val': [0, 1, 2], 'train': [3, 4, 5, 6, 7], 'train_unlabelled': [3, 4, 5, 6, 7],
                   'train_few': [3, 4]}
    assert parts['train_unlabelled']['annotations'] == []
    found = [(note['image_id'], note['category_id'], note['bbox']) for note in parts['train']['annotations']]
    expected = [(index, label + 1, [left, top, right - left, bottom - top])
                for index in ids['train'] for label, (left, top, right, bottom)
                in zip(made[index].labels.tolist(), made[index].boxes.tolist(), strict=True)]
    assert found == expected


def test_masks_in_the_annotations_decode(tmp_path):
    from pycocotools.coco import COCO
    folder = make_dataset(tmp_path / 'set', 4, 48, seed=1, clean_share=0.0)
    coco = COCO(str(folder / 'annotations' / 'train.json'))
    for index in range(4):
        notes = coco.loadAnns(coco.getAnnIds(index))
        masks = np.stack([coco.annToMask(note) for note in notes]).astype(bool)
        assert np.array_equal(masks, make_image((1, index), 48, clean_share=0.0).masks)
        assert [note['area'] for note in notes] == masks.sum(axis=(1, 2)).tolist()


def test_images_do_not_depend_on_how_many_are_made(tmp_path):
    few, many = make_dataset(tmp_path / 'few', 3, 32), make_dataset(tmp_path / 'many', 5, 32)
    for name in ('000000.png', '000001.png', '000002.png'):
        assert (few / 'images' / name).read_bytes() == (many / 'images' / name).read_bytes()


def test_interrupted_dataset_is_finished_with_the_same_bytes(tmp_path):
    whole = make_dataset(tmp_path / 'whole', 6, 32, num_val=2, num_labelled=1)
    torn = make_dataset(tmp_path / 'torn', 6, 32, num_val=2, num_labelled=1)
    (torn / 'annotations' / 'val.json').unlink()
    (torn / 'images' / '000002.png').unlink()
    log = (torn / 'labels.jsonl').read_text()
    (torn / 'labels.jsonl').write_text(log[:-20])
    kept = (torn / 'images' / '000000.png').stat().st_mtime_ns
    make_dataset(torn, 6, 32, num_val=2, num_labelled=1)
    assert (torn / 'images' / '000000.png').stat().st_mtime_ns == kept
    left, right = _bytes_below(whole), _bytes_below(torn)
    left.pop('labels.jsonl'), right.pop('labels.jsonl')  # order of the lines tells what was made again
    assert left == right


def test_killed_dataset_is_finished(tmp_path):
    code = ('from agssp_mm.datasets.synthetic import make_dataset; '
            f'make_dataset({str(tmp_path / "set")!r}, 400, 64)')
    child = subprocess.Popen([sys.executable, '-c', code], env=dict(os.environ, OMP_NUM_THREADS='1'))
    while child.poll() is None and not (tmp_path / 'set' / 'images' / '000003.png').exists():
        time.sleep(0.01)
    child.kill()
    child.wait()
    made = len(list((tmp_path / 'set' / 'images').glob('0*.png')))
    assert 3 < made < 400
    with pytest.raises(ValueError, match='other settings'):
        make_dataset(tmp_path / 'set', made + 2, 64)
    settings = tmp_path / 'set' / 'dataset.json'
    settings.write_text(settings.read_text().replace('400', str(made + 2)))
    make_dataset(tmp_path / 'set', made + 2, 64)
    notes = json.loads((tmp_path / 'set' / 'annotations' / 'train.json').read_text())
    assert len(notes['images']) == made + 2 == len(list((tmp_path / 'set' / 'images').glob('0*.png')))


def test_foreign_folder_and_bad_counts_are_refused(tmp_path):
    (tmp_path / 'mine.txt').write_text('keep me')
    with pytest.raises(ValueError, match='holds no made data set'):
        make_dataset(tmp_path, 4, 32)
    with pytest.raises(ValueError, match='4 images cannot hold 3 for validation and 2 labelled ones'):
        make_dataset(tmp_path / 'set', 4, 32, num_val=3, num_labelled=2)
    for bad in (dict(size=31), dict(size=(64, 8)), dict(seed=-1), dict(clean_share=2)):
        with pytest.raises(ValueError, match=r'at least 32 pixels, seed is >= 0 and clean_share lies in \[0, 1\]'):
            make_dataset(tmp_path / 'set', 4, **{'size': 32, **bad})
    assert not (tmp_path / 'set').exists()  # nothing that the next call would take for another set
