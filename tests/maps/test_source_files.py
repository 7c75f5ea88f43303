"""Maps belong to the content of the files that they were made from, not to the paths alone."""
import json

import numpy as np
import pytest
from PIL import Image

from agssp_mm.images import list_images
from agssp_mm.maps.generate import generate_maps
from agssp_mm.teachers.ensemble import EnsembleTeacher
from agssp_mm.teachers.patch_memory import PatchMemoryTeacher
from agssp_mm.teachers.precomputed import PrecomputedTeacher
from agssp_mm.teachers.texture import TextureTeacher
from agssp_mm.teachers.tiling import TiledTeacher


@pytest.fixture
def normals(tmp_path):
    (tmp_path / 'normals').mkdir()
    for number in range(3):
        value = np.random.default_rng(number).integers(0, 99, (40, 40), dtype=np.uint8)
        Image.fromarray(value).save(tmp_path / 'normals' / f'{number}.png')
    return tmp_path / 'normals'


def check(folder, teacher, file):
    """Another content behind the same path is another teacher."""
    images, store = list_images(folder), folder.parent / 'store'
    generate_maps(images, teacher(), store)
    assert generate_maps(images, teacher(), store).num_written == 0
    meta = json.loads((store / 'maps.json').read_text())
    digest = meta['teacher'].pop('files')
    (store / 'maps.json').write_text(json.dumps(meta))
    assert generate_maps(images, teacher(), store).num_written == 0  # older stores do not say
    meta['teacher']['files'] = digest
    (store / 'maps.json').write_text(json.dumps(meta))
    file.write_bytes(file.read_bytes() + b'more')
    with pytest.raises(ValueError, match='was made with another teacher'):
        generate_maps(images, teacher(), store)


@pytest.mark.parametrize('teacher', [
    lambda normals: TextureTeacher(normals=normals),
    lambda normals: EnsembleTeacher(['texture', TextureTeacher(normals=normals)]),
    lambda normals: TiledTeacher(TextureTeacher(normals=normals), 'short')])
def test_normal_images(image_folder, normals, teacher):
    check(image_folder, lambda: teacher(normals), normals / '1.png')


@pytest.mark.parametrize('backbone', [
    dict(library='timm', name='resnet10t', weights='FILE'),
    dict(type='ResNet', depth=18, init_cfg=dict(type='Pretrained', checkpoint='FILE')),
    dict(type='mmpretrain.TIMMBackbone', model_name='resnet10t', checkpoint_path='FILE')])
def test_files_of_weights(tmp_path, backbone):
    weights = tmp_path / 'weights.pth'
    backbone = json.loads(json.dumps(backbone).replace('FILE', str(weights)))
    assert PatchMemoryTeacher(backbone, (1, )).source_files == ()  # what is not there is told when it is loaded
    weights.touch()
    assert PatchMemoryTeacher(backbone, (1, )).source_files == (weights, )
    assert PatchMemoryTeacher(dict(library='timm', name='resnet10t', weights='random'), (1, )).source_files == ()


def test_maps_of_others(image_folder, tmp_path):
    (tmp_path / 'maps').mkdir()
    for entry in list_images(image_folder):
        (tmp_path / 'maps' / entry.name).parent.mkdir(exist_ok=True)
        Image.open(image_folder / entry.name).save(tmp_path / 'maps' / entry.name)
    check(image_folder, lambda: PrecomputedTeacher(tmp_path / 'maps', scale=255.0), tmp_path / 'maps' / '03.png')
