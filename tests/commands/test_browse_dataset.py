"""``agssp browse-dataset``."""
import cv2
import numpy as np
import pytest

from agssp_mm.cli import main
from agssp_mm.images import list_images
from agssp_mm.maps.generate import generate_maps
from agssp_mm.maps.store import MapStore
from agssp_mm.visualization.overlays import BOX_COLOURS

CONFIG = '''
default_scope = 'mmdet'
train_dataloader = dict(dataset=dict(
    type='PseudoBoxDataset', images={images!r}, store={store!r}, rule=dict(type='ComponentTreeBoxRule', threshold=0.01),
    pipeline=[dict(type='LoadImageFromFile'), dict(type='AnomalyMapGenerator', store={store!r}, image_root={images!r}),
              dict(type='LoadAnnotations', with_bbox=True), dict(type='RandomFlip', prob=1.0),
              dict(type='PackDetInputs')]))
'''


@pytest.fixture
def config(image_folder, toy_teacher, tmp_path):
    generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'store')
    path = tmp_path / 'config.py'
    path.write_text(CONFIG.format(images=str(image_folder), store=str(tmp_path / 'store')))
    return path


def test_pictures_show_the_augmented_image_its_map_and_its_boxes(config, image_folder, tmp_path, capsys):
    assert main(['browse-dataset', str(config), '--out', str(tmp_path / 'out'), '--number', '3', '--repeat', '2']) == 0
    assert capsys.readouterr().out.endswith(f'3 pictures of 12 images: {tmp_path / "out"}\n')
    paths = sorted((tmp_path / 'out').iterdir())
    records = MapStore.open(tmp_path / 'store').index
    assert [path.stem[5:] for path in paths] == [records[place].name.rsplit('/')[-1][:-4] for place in (0, 0, 1)]
    picture = cv2.imread(str(paths[0]))
    assert picture.shape == (32, 2 * 24, 3)
    original = cv2.imread(str(image_folder / records[0].name))
    plain = (picture[:, :24] == original[:, ::-1]).all(-1)  # mirrored, apart from the boxes
    assert plain.mean() > 0.7
    colour = np.array(BOX_COLOURS['pseudo box'])
    left, right = ((half == colour).all(-1) for half in (picture[:, :24], picture[:, 24:]))
    assert left.any() and np.array_equal(left, right)
    assert (picture[:, 24:] != picture[:, :24]).any()


def test_bad_input(config, tmp_path, capsys):
    out = str(tmp_path / 'out')
    assert main(['browse-dataset', str(config), '--out', out, '--stage', 'val']) == 2
    assert '--stage: the config has no val_dataloader; it has: train' in capsys.readouterr().err
    assert main(['browse-dataset', str(config), '--out', out, '--number', '0']) == 2
    assert '--number must be at least 1, got 0' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
