"""The number of classes, wherever real configs of MMDetection keep it."""
import json
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.utils import get_installed_path

from agssp_mm.engine.walk import walk
from agssp_mm.recipes.classes import count_classes, set_num_classes


def model_of(name):
    return get_config(f'mmdet::{name}').model.to_dict()


def test_every_head_of_a_cascade_with_masks():
    model = model_of('cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py')
    assert count_classes(model) == 80
    assert set_num_classes(model, 6) == 4
    assert [head['num_classes'] for head in model['roi_head']['bbox_head']] == [6, 6, 6]
    assert model['roi_head']['mask_head']['num_classes'] == 6


def test_seesaw_loss_and_its_heads():
    model = model_of('seesaw_loss/mask-rcnn_r50_fpn_seesaw-loss_random-ms-2x_lvis-v1.py')
    set_num_classes(model, 1)
    head = model['roi_head']['bbox_head']
    assert (head['num_classes'], head['loss_cls']['num_classes']) == (1, 1)


def test_class_weights_of_things_and_background():
    model = model_of('mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic.py')
    set_num_classes(model, 3)
    head = model['panoptic_head']
    assert (head['num_things_classes'], head['num_stuff_classes']) == (3, 0)
    assert head['loss_cls']['class_weight'] == [1.0, 1.0, 1.0, 0.1]
    fusion = model['panoptic_fusion_head']
    assert (fusion['num_things_classes'], fusion['num_stuff_classes']) == (3, 0)


@pytest.mark.parametrize('weights, expected', [
    ([1.0, 3.0], [2.0, 2.0, 2.0]),
    ([1.0, 3.0, 0.5], [2.0, 2.0, 2.0, 0.5]),
    ([1.0], [1.0]),
    (1.0, 1.0),
    ('weights.npy', 'weights.npy'),
])
def test_class_weight_lists_by_their_length(weights, expected):
    model = dict(bbox_head=dict(num_classes=2, loss_cls=dict(class_weight=weights)))
    set_num_classes(model, 3)
    assert model['bbox_head']['loss_cls']['class_weight'] == expected


def test_proposals_know_objects_only():
    model = model_of('rpn/rpn_r50_fpn_1x_coco.py')
    assert count_classes(model) is None
    assert set_num_classes(model, 6) == 0
    model = dict(rpn_head=dict(num_classes=1), backbone=dict(num_classes=1000), bbox_head=[dict(num_classes=80)])
    set_num_classes(model, 6)
    assert model == dict(rpn_head=dict(num_classes=1), backbone=dict(num_classes=1000), bbox_head=[dict(num_classes=6)])


def test_detection_transformers():
    model = model_of('detr/detr_r50_8xb2-150e_coco.py')
    set_num_classes(model, 1)
    assert model['bbox_head']['num_classes'] == 1


@pytest.mark.parametrize('number', [0, 1.5, None])
def test_no_class_is_an_error(number):
    with pytest.raises(ValueError, match='num_classes must be a number >= 1'):
        set_num_classes({}, number)


@pytest.mark.slow
def test_no_config_of_mmdetection_keeps_a_count():
    """All configs of all families, not only the smallest of each."""
    root = Path(get_installed_path('mmdet')) / '.mim' / 'configs'
    listed = json.loads((Path(__file__).parents[2] / 'tools' / 'zoo' / 'families.json').read_text())['families']
    kept, num_changed = [], 0
    for path in sorted(file for one in listed for file in (root / one['family']).glob('*.py')):
        model = Config.fromfile(path).get('model')
        if not model:
            continue  # test-time augmentation alone
        model = model.to_dict()
        num_changed += set_num_classes(model, 7) > 0
        for part in walk(model, ('backbone', 'rpn_head', 'data_preprocessor')):
            for key in ('num_classes', 'num_things_classes', 'num_stuff_classes'):
                if isinstance(part.get(key), int) and part[key] != (0 if key == 'num_stuff_classes' else 7):
                    kept.append((path.name, key, part[key]))
            if isinstance(part.get('class_weight'), list) and len(part['class_weight']) not in (7, 8):
                kept.append((path.name, 'class_weight', len(part['class_weight'])))
    assert kept == []
    assert num_changed > 600
