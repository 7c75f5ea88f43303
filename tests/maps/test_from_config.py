import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from agssp_mm.maps.from_config import build_teacher, generate_from_config
from agssp_mm.maps.store import MapStore
from agssp_mm.recipes import write_config


def write(path, **settings):
    write_config(Config(settings), path, [])
    return path


def test_maps_as_a_file_says(image_folder, tmp_path):
    for file in image_folder.rglob('*.png'):  # deep images, of which a tenth of the range is used
        Image.fromarray(np.asarray(Image.open(file)).astype(np.uint16) * 25).save(file)
    path = write(tmp_path / 'maps.py', images=str(image_folder), store=str(tmp_path / 'store'), seed=3,
                 teacher=dict(type='TextureTeacher'), sources=dict(all='.'), value_percentiles=[1.0, 99.0])
    summary = generate_from_config(path, 'cpu')
    assert (summary.num_images, summary.num_written) == (12, 12)
    low, high = summary.value_ranges['all']
    assert 1500 <= low < 2000 and high == 5000
    assert MapStore.open(tmp_path / 'store').meta['teacher']['type'] == 'TextureTeacher'
    assert generate_from_config(path).num_existing == 12


@pytest.mark.parametrize('config, message', [
    (dict(type='NoTeacher'), 'teacher: .*NoTeacher.* cannot be built'),
    (dict(type='TextureTeacher', depth=3), 'teacher: .* cannot be built'),
    (dict(type='ComponentTreeBoxRule'), 'ComponentTreeBoxRule is no teacher'),
])
def test_what_is_no_teacher(config, message):
    with pytest.raises(ValueError, match=message):
        build_teacher(config)
