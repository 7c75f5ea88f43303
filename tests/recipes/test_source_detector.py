"""Reading users' configs: what is taken from them, and what is refused."""
import pytest
from mmengine.config import Config
from mmengine.hub import get_config

from agssp_mm.recipes import read_detector


def read(name):
    return read_detector(f'mmdet::{name}', downloads=False)


def test_a_detector_by_name():
    detector = read('retinanet/retinanet_r50_fpn_1x_coco')
    assert (detector.name, detector.num_classes, detector.masks) == ('retinanet_r50_fpn_1x_coco', 80, None)
    assert detector.model['backbone']['init_cfg'] is None
    note = '1 initial weights left out, because they cannot be reached here: torchvision://resnet50'
    assert detector.notes == (note, )


def test_masks_as_the_config_loads_them():
    assert read('mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py').masks == dict(with_mask=True, poly2mask=True)
    assert read('condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py').masks['poly2mask'] is False
    assert read('boxinst/boxinst_r50_fpn_ms-90k_coco.py').masks is None
    # panoptic loading has masks unless it says otherwise
    assert read('panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py').masks['with_mask'] is True


def test_semantic_branches_are_dropped_and_said_so():
    detector = read('htc/htc_r50_fpn_1x_coco.py')
    assert not [key for key in detector.model['roi_head'] if key in ('semantic_head', 'semantic_roi_extractor')]
    assert {note.split()[0] for note in detector.notes if 'dropped' in note} == {'semantic_head',
                                                                                'semantic_roi_extractor'}
    detector = read('panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py')
    assert detector.model['type'] == 'TwoStageDetector'
    assert 'semantic_head' not in detector.model
    assert 'panoptic_fusion_head' not in detector.model
    # panoptic heads that hold the boxes themselves stay
    assert 'panoptic_fusion_head' in read('mask2former/mask2former_r50_8xb2-lsj-50e_coco.py').model


def test_the_detector_inside_a_semi_supervised_wrapper():
    detector = read('soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py')
    assert detector.model['type'] == 'FasterRCNN'
    assert detector.notes[0] == 'the detector inside SoftTeacher is pretrained alone'


def test_a_detector_takes_the_normalisation_of_its_wrapper():
    detector = read('deepsort/deepsort_faster-rcnn_r50_fpn_8xb2-4e_mot17halftrain_test-mot17halfval.py')
    own = detector.model['data_preprocessor']
    assert own['type'] == 'DetDataPreprocessor' and own['bgr_to_rgb'] is True
    assert (own['mean'], own['std']) == ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
    soft = read('soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py')
    assert soft.model['data_preprocessor']['mean'] == [103.530, 116.280, 123.675]


def test_a_distilling_teacher_is_written_out():
    detector = read('ld/ld_r18-gflv1-r101_fpn_1x_coco.py')
    assert detector.model['teacher_config']['model']['bbox_head']['num_classes'] == 80
    assert detector.model['teacher_ckpt'] is None


def test_norms_that_one_process_cannot_build():
    detector = read('strong_baselines/mask-rcnn_r50_fpn_rpn-2conv_4conv1fc_syncbn-all_lsj-50e_coco.py')
    assert detector.model['neck']['norm_cfg']['type'] == 'SyncBN'
    assert any(note.startswith('MMSyncBN became SyncBN') for note in detector.notes)


def test_norms_with_an_epsilon_that_pytorch_refuses():
    detector = read('nas_fcos/nas-fcos_r50-caffe_fpn_nashead-gn-head_4xb4-1x_coco.py')
    assert detector.model['backbone']['norm_cfg']['eps'] == 1e-12
    assert any(note.startswith('eps of a batch norm 0 became 1e-12') for note in detector.notes)


def test_detectors_that_read_the_names_of_classes():
    assert read('grounding_dino/grounding_dino_r50_scratch_8xb2_1x_coco.py').needs_texts
    assert not read('dino/dino-4scale_r50_8xb2-12e_coco.py').needs_texts


def test_a_wrapper_of_another_framework_has_no_backbone_here():
    with pytest.raises(ValueError, match='d2_faster-rcnn.* has no backbone'):
        read('misc/d2_faster-rcnn_r50-caffe_fpn_ms-90k_coco.py')


def test_a_config_written_with_imports(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text('from mmdet.models.backbones import ResNet\nfrom mmdet.models.detectors import RetinaNet\n'
                    'from mmdet.models.dense_heads import RetinaHead\n'
                    "model = dict(type=RetinaNet, backbone=dict(type=ResNet, depth=18, init_cfg="
                    "dict(type='Pretrained', "
                    "checkpoint='torchvision://resnet18')), bbox_head=dict(type=RetinaHead, num_classes=80))\n")
    detector = read_detector(path, downloads=False)
    assert detector.num_classes == 80
    assert detector.model['backbone']['init_cfg'] is None


def test_configs_that_do_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match='close to it are retinanet/retinanet_r50_fpn_1x_coco.py'):
        read('retinanet/retinanet_r50_fpn_1x_cocoo.py')
    with pytest.raises(FileNotFoundError, match='there is no config'):
        read_detector(tmp_path / 'gone.py')
    with pytest.raises(FileNotFoundError, match='nosuchpackage, which is not installed'):
        read_detector('nosuchpackage::a/b.py')
    (tmp_path / 'weights.pth').touch()
    with pytest.raises(ValueError, match='a config is a .py'):
        read_detector(tmp_path / 'weights.pth')
    (tmp_path / 'broken.py').write_text('model = dict(\n')
    with pytest.raises(ValueError, match='no config that MMEngine can read'):
        read_detector(tmp_path / 'broken.py')
    (tmp_path / 'foreign.py').write_text("custom_imports = dict(imports=['no_such_package.models'])\n")
    with pytest.raises(ValueError, match=r"detector: a module that .*foreign.py imports cannot be imported "
                                         r"\(ModuleNotFoundError: No module named 'no_such_package'\); install"):
        read_detector(tmp_path / 'foreign.py')
    (tmp_path / 'orphan.py').write_text("_base_ = './gone.py'\n")
    with pytest.raises(FileNotFoundError, match='gone'):
        read_detector(tmp_path / 'orphan.py')


@pytest.mark.parametrize('model, message', [
    (None, 'it has no `model`'),
    (dict(type='ImageClassifier', _scope_='mmpretrain', backbone=dict(type='ResNet', depth=18)),
     'not the config of a detector: its model is a ImageClassifier'),
    (dict(type='RetinaNett', backbone=dict(type='ResNet')), r'unknown type of the model.*is it one of .*RetinaNet'),
    (dict(type='RetinaNet'), 'has no backbone: model.backbone is None'),
    (dict(type='RetinaNet', backbone=dict(type='ResNett')), r"unknown type of the backbone.*'ResNett'.*ResNet"),
    (dict(type='RetinaNet', backbone=dict(depth=50)), 'unknown type of the backbone'),
])
def test_configs_of_no_detector(model, message):
    with pytest.raises(ValueError, match=message):
        read_detector(Config(dict(model=model) if model else dict(train_cfg=None)), downloads=False)


def test_the_users_config_is_not_changed():
    config = get_config('mmdet::htc/htc_r50_fpn_1x_coco.py')
    before = config.pretty_text
    read_detector(config, downloads=False)
    assert config.pretty_text == before
