"""What stage 1 of the paper's rows writes is what the detectors of stage 2 compute with."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

import agssp_mm  # noqa: F401

ROOT = Path(__file__).parents[2] / 'configs' / 'agssp'
ROWS = {'yolox_cspdarknet_cls': None, 'yolox_r50_cls': None, 'yolox_r50_mocov3': None, 'yolox_swin-b_cls': None,
        'yolox_swin-b_simmim': None, 'faster-rcnn_swin-b_simmim': 'yolox_swin-b_simmim',
        'dino_swin-b_simmim': 'yolox_swin-b_simmim'}


def small(backbone):
    """Few channels, and of Swin-B, of either library, one block per stage."""
    backbone.init_cfg = None
    narrow = dict(embed_dims=16, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2])
    if 'arch' in backbone:
        backbone.arch = narrow
    elif 'Swin' in backbone.type:
        backbone.update(narrow)
    elif 'ResNet' in backbone.type:
        backbone.base_channels = 8
    return backbone


def build(name, stage, scope):
    config = Config.fromfile(str(ROOT / name / f'{name}_{stage}.py'))
    DefaultScope.get_instance(f'{name}-{stage}', scope_name=scope)
    backbone = MODELS.build(small(config.model.backbone))
    backbone.eval()  # those of mmdet return nothing
    return backbone


FAST = ('yolox_r50_cls', 'yolox_swin-b_simmim')


@pytest.mark.parametrize('name', [pytest.param(name, marks=[] if name in FAST else pytest.mark.slow) for name in ROWS])
def test_the_detector_gets_every_tensor_and_computes_the_same(name):
    start = ROWS[name] or name
    scope = 'mmpretrain' if start.endswith('simmim') else 'mmdet'
    torch.manual_seed(0)
    first, second = build(start, 'agbp', scope), build(name, 'agdp', 'mmdet')
    for parameter in first.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    missing, unexpected = second.load_state_dict(first.state_dict(), strict=False)
    # Swin's output norms of the levels that are not distilled; they keep their start values.
    assert {key.split('.')[0] for key in missing} <= {'norm0', 'norm1', 'norm2'}
    assert set(unexpected) <= {'mask_token'}
    image = torch.randn(1, 3, 192, 192)
    with torch.no_grad():
        wanted = first(image, None) if scope == 'mmpretrain' else first(image)
        found = second(image)
    assert torch.allclose(found[-1], wanted[-1], atol=1e-5) and found[-1].std() > 1e-4
