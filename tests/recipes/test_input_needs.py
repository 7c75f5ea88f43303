"""Which sizes real detectors take."""
import pytest
import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import nn

from agssp_mm.recipes import find_input_needs, read_detector


def test_sizes_that_fit(shrunk):
    detector = read_detector(shrunk('retinanet/retinanet_r18_fpn_1x_coco.py'), downloads=False)
    needs = find_input_needs(detector, 64)
    assert (needs.divisor, needs.fixed) == (32, False)
    detector = read_detector(shrunk('detr/detr_r18_8xb2-500e_coco.py'), downloads=False)
    needs = find_input_needs(detector, 64)
    assert (needs.divisor, needs.fixed) == (1, False)


@MODELS.register_module()
class _RigidNeck(BaseModule):
    """Adds a level of stride 128, upsampled by four, to that of stride 32: sizes must be multiples of 128."""

    def __init__(self, in_channels, init_cfg=None):
        super().__init__(init_cfg)
        self.convs = nn.ModuleList(nn.Conv2d(channels, 256, 1) for channels in in_channels)

    def forward(self, features):
        *finer, coarsest = [conv(one) for conv, one in zip(self.convs, features)]
        far = nn.functional.interpolate(nn.functional.max_pool2d(coarsest, 4), scale_factor=4)
        return (*finer, coarsest + far, nn.functional.max_pool2d(coarsest, 4))


def test_a_neck_that_needs_larger_multiples_than_its_config_says(shrunk):
    config = shrunk('retinanet/retinanet_r18_fpn_1x_coco.py')
    config.model.neck = dict(type='_RigidNeck', in_channels=[4, 8, 16, 32])
    needs = find_input_needs(read_detector(config, downloads=False), 64)
    assert (needs.divisor, needs.fixed) == (128, False)


def test_many_queries_need_many_positions(shrunk):
    config = shrunk('dino/dino-4scale_r50_8xb2-12e_coco.py', num_queries=300, encoder=dict(num_layers=1),
                    decoder=dict(num_layers=1))
    detector = read_detector(config, downloads=False)
    needs = find_input_needs(detector, 160)
    assert (needs.divisor, needs.fixed) == (32, True)
    with pytest.raises(ValueError, match='takes no images of 64 pixels; the smallest larger size that it takes is 128'):
        find_input_needs(detector, 64)


def test_a_detector_that_cannot_be_built(shrunk):
    config = shrunk('retinanet/retinanet_r18_fpn_1x_coco.py', neck=dict(out_channel=8))
    with pytest.raises(ValueError, match=r'detector cannot be built \(TypeError.*out_channel'):
        find_input_needs(read_detector(config, downloads=False), 64)


def test_the_reason_is_given_where_no_size_is_taken(shrunk):
    config = shrunk('retinanet/retinanet_r18_fpn_1x_coco.py')
    config.model.backbone.in_channels = 1
    message = 'takes no images of 64 pixels; nor any larger .* It said: .*to have 1 channels'
    with pytest.raises(ValueError, match=message):
        find_input_needs(read_detector(config, downloads=False), 64)


def test_whether_prediction_was_tried_is_told(shrunk):
    for name, expected in (('retinanet/retinanet_r18_fpn_1x_coco.py', True),
                           ('fast_rcnn/fast-rcnn_r50_fpn_1x_coco.py', False)):
        needs = find_input_needs(read_detector(shrunk(name), downloads=False), 64)
        assert needs.has_predicted is expected


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_an_operation_for_gpus_alone(shrunk):
    config = shrunk('carafe/faster-rcnn_r50_fpn-carafe_1x_coco.py')
    with pytest.raises(ValueError, match=r'needs a GPU, and there is none here: .*\(carafe_forward_impl'):
        find_input_needs(read_detector(config, downloads=False), 64)
