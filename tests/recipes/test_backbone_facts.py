"""Levels, strides and freezing of backbones, found by running them."""
import pytest
from mmengine.config import Config
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import nn

from agssp_mm.recipes import inspect_backbone, read_detector
from agssp_mm.recipes.backbone_facts import freezes_late


def inspect(backbone):
    return inspect_backbone(read_detector(Config(dict(model=dict(type='RetinaNet', backbone=backbone))), False))


def test_a_resnet():
    facts = inspect(dict(type='ResNet', depth=18, base_channels=4))
    assert facts.channels == (4, 8, 16, 32)
    assert facts.strides == (4, 8, 16, 32)
    assert facts.levels == (-2, -1)
    # the paper's: stem, layer 1 and layer 2 rest, layers 3 and 4 are distilled
    assert facts.stem_frozen == dict(frozen_stages=2, norm_eval=False)
    assert facts.nothing_frozen == dict(frozen_stages=-1, norm_eval=False)
    assert facts.all_frozen == dict(frozen_stages=4, norm_eval=True)


def test_one_level_and_fewer_stages():
    facts = inspect(dict(type='ResNet', depth=18, base_channels=4, num_stages=3, out_indices=(2, ), strides=(1, 2, 2),
                         dilations=(1, 1, 1)))
    assert (facts.channels, facts.strides, facts.levels) == ((16, ), (16, ), (-1, ))
    assert facts.all_frozen == dict(frozen_stages=3, norm_eval=True)


def test_the_stem_learns_where_the_distilled_levels_would_not():
    facts = inspect(dict(type='ResNet', depth=18, base_channels=4, out_indices=(0, 1)))
    assert facts.levels == (-2, -1)
    assert facts.stem_frozen == {}


def test_branches_that_are_there_in_training_only():
    facts = inspect(dict(type='TridentResNet', trident_dilations=(1, 2, 3), num_branch=3, test_branch_idx=1, depth=50,
                         base_channels=4, num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2, )))
    assert facts.is_branched
    # its own frozen_stages would take the branches away
    assert facts.all_frozen is None
    assert not inspect(dict(type='ResNet', depth=18, base_channels=4)).is_branched


@MODELS.register_module()
class _Stubborn(BaseModule):
    """A backbone without settings, coarsest level first; frozen on demand."""

    def __init__(self, frozen=False, numbers=False, init_cfg=None):
        super().__init__(init_cfg)
        self.conv = nn.Conv2d(3, 4, 2, 2).requires_grad_(not frozen)
        self.numbers = numbers

    def forward(self, x):
        fine = self.conv(x)
        return (fine.mean(), ) if self.numbers else (nn.functional.max_pool2d(fine, 4), fine)


def test_a_backbone_that_cannot_freeze_with_its_levels_upside_down():
    facts = inspect(dict(type='_Stubborn'))
    assert facts.strides == (8, 2)
    assert facts.levels == (-1, -2)
    assert (facts.stem_frozen, facts.nothing_frozen, facts.all_frozen) == ({}, {}, None)


@pytest.mark.parametrize('settings, message', [
    (dict(frozen=True), 'the backbone _Stubborn is frozen: its levels .* AGBP has nothing to train'),
    (dict(numbers=True), 'gives no feature maps'),
    (dict(depth=18), r'cannot be built \(TypeError'),
])
def test_backbones_that_cannot_be_pretrained(settings, message):
    with pytest.raises(ValueError, match=message):
        inspect(dict(type='_Stubborn', **settings))


def test_whether_a_backbone_freezes_only_when_the_training_starts():
    narrow = dict(type='CSPDarknet', widen_factor=0.125, deepen_factor=0.33)
    assert freezes_late(dict(narrow, frozen_stages=2), 'mmdet')
    assert not freezes_late(narrow, 'mmdet')
    assert not freezes_late(dict(type='ResNet', depth=18, base_channels=4, frozen_stages=2), 'mmdet')
