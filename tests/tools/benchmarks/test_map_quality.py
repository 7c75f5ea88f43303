"""The benchmark of anomaly maps, on a handful of made images."""
import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

SCRIPT = Path(__file__).parents[3] / 'tools' / 'benchmarks' / 'map_quality.py'


@pytest.fixture
def scene(tmp_path):
    """Three noisy images with a dark pit, a bright scratch, and nothing; masks; a COCO JSON of the kinds."""
    rng = np.random.default_rng(0)
    (tmp_path / 'images').mkdir()
    (tmp_path / 'masks').mkdir()
    for name in ('a', 'b', 'c'):
        image = rng.normal(120, 4, (64, 64))
        mask = np.zeros((64, 64), np.uint8)
        if name == 'a':
            image[20:28, 30:38] -= 60
            mask[20:28, 30:38] = 255
        if name == 'b':
            image[40:43, 10:50] += 60
            mask[40:43, 10:50] = 128
        cv2.imwrite(str(tmp_path / 'images' / f'{name}.png'), image.clip(0, 255).astype(np.uint8))
        cv2.imwrite(str(tmp_path / 'masks' / f'{name}.png'), mask)
    coco = dict(images=[dict(id=1, file_name='a.png'), dict(id=2, file_name='b.png')],
                categories=[dict(id=1, name='pit'), dict(id=2, name='scratch')],
                annotations=[dict(image_id=1, category_id=1, bbox=[30, 20, 8, 8]),
                             dict(image_id=2, category_id=2, bbox=[10, 40, 40, 3])])
    (tmp_path / 'kinds.json').write_text(json.dumps(coco))
    return tmp_path


def measure(scene, *more):
    """Exit status of the script."""
    spec = importlib.util.spec_from_file_location('map_quality', SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    arguments = [scene / 'images', scene / 'masks', *more]
    return script.run_command(script, 'map_quality.py', list(map(str, arguments)))


def test_figures_of_all_defects_and_of_each_kind(scene, capsys):
    assert measure(scene, '--teacher', 'texture', '--teacher-options', 'long_side=64', '--annotations',
                   scene / 'kinds.json', '--out', scene / 'figures.json') == 0
    results = json.loads((scene / 'figures.json').read_text())
    figures = results['figures']
    assert results['settings'] == {'long_side': 64}
    assert list(figures) == ['all', 'pit', 'scratch']
    assert [figures[kind]['num_defective'] for kind in figures] == [2, 1, 1]
    assert all(figures[kind]['num_images'] == 3 and figures[kind]['auroc'] > 0.9 for kind in figures)
    assert results['images_per_second'] > 0 and results['peak_memory_mib'] > 10
    printed = capsys.readouterr().out
    assert f"{figures['pit']['auroc']:.3f}" in printed and 'images/s with decoding' in printed


def test_a_missing_mask_is_an_error_not_a_sound_image(scene, capsys):
    (scene / 'masks' / 'c.png').unlink()
    assert measure(scene) == 2
    error = capsys.readouterr().err
    assert '1 of 3 masks are missing' in error and 'all-zero PNG' in error


def test_a_mask_of_another_size_is_refused(scene, capsys):
    cv2.imwrite(str(scene / 'masks' / 'a.png'), np.zeros((8, 8), np.uint8))
    assert measure(scene) == 2
    error = capsys.readouterr().err
    assert 'masks are grey images of the size of their image' in error


def test_annotations_of_other_images_are_refused(scene, capsys):
    text = (scene / 'kinds.json').read_text().replace('a.png', 'x.png').replace('b.png', 'y.png')
    (scene / 'kinds.json').write_text(text)
    assert measure(scene, '--annotations', scene / 'kinds.json') == 2
    error = capsys.readouterr().err
    assert 'annotates none of the 3 images' in error
