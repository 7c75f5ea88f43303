"""Small real runs for the page to show."""
import json

import pytest

from agssp_mm.images import list_images
from agssp_mm.maps.generate import generate_maps

CONFIG = '''
train_dataloader = dict(dataset=dict(type='PseudoBoxDataset', images={images!r}, store={store!r},
                                     rule=dict(type='ComponentTreeBoxRule', threshold=0.3)))
'''


@pytest.fixture
def store(image_folder, toy_teacher, tmp_path):
    """A finished map store of twelve images."""
    generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'store')
    return tmp_path / 'store'


@pytest.fixture
def work_dir(store, image_folder, tmp_path):
    """What tools/train.py leaves of a training on pseudo boxes, as far as its logs go."""
    logs = tmp_path / 'work' / '20260101_000000'
    (logs / 'vis_data').mkdir(parents=True)
    (logs / 'vis_data' / 'config.py').write_text(CONFIG.format(images=str(image_folder), store=str(store)))
    lines = [dict(lr=0.1 / step, loss=2.0 / step, loss_cls=1.0 / step, agreement_s2=0.1 * step, step=step)
             for step in range(1, 6)]
    lines.append({'agreement/s2': 0.7, 'coco/bbox_mAP': 0.3, 'step': 1})
    (logs / 'vis_data' / 'scalars.json').write_text(''.join(json.dumps(line) + '\n' for line in lines))
    (logs / '20260101_000000.log').write_text(
        '2026/01/01 00:00:00 - mmengine - INFO - load_from backbone.pth: 2 of 3 tensors of the model loaded '
        '(backbone 2/3)\n'
        '  1 of the model not in the file: backbone.fc.weight\n'
        '2026/01/01 00:00:01 - mmengine - INFO - Checkpoints will be saved to work.\n')
    return tmp_path / 'work'
