import pytest
import torch
from torch import nn

from agssp_mm.models.levels import as_levels, count_levels, resolve_levels

FEATURE = torch.zeros(1, 2, 3, 3)


def test_levels_come_as_a_tuple():
    assert as_levels(FEATURE) == (FEATURE,)
    assert len(as_levels([FEATURE, FEATURE])) == 2


@pytest.mark.parametrize('outputs, found', [
    ((FEATURE, torch.zeros(1, 2)), r'level 1 of the backbone is shape \(1, 2\)'),
    (([FEATURE],), 'level 0 of the backbone is a list'),
    ({'a': FEATURE}, 'returned a dict'),
    ((), 'returned a tuple'),
])
def test_what_is_no_feature_map_is_refused(outputs, found):
    with pytest.raises(ValueError, match=found):
        as_levels(outputs)


def test_levels_are_counted_without_running_real_backbones():
    from mmdet.models import CSPDarknet, ResNet
    from mmpretrain.models import ResNet as PretrainResNet
    from mmpretrain.models import TIMMBackbone
    assert count_levels(ResNet(18, base_channels=4)) == 4
    assert count_levels(PretrainResNet(18)) == 1
    assert count_levels(CSPDarknet(widen_factor=0.125, deepen_factor=0.1, out_indices=(3, 4))) == 2
    lite = dict(model_name='tf_efficientnet_lite0', features_only=True)
    assert count_levels(TIMMBackbone(**lite)) == 5
    assert count_levels(TIMMBackbone(**lite, out_indices=(2, 3))) == 2
    assert count_levels(nn.Identity()) is None


def test_negative_levels_count_from_the_end():
    assert resolve_levels((-2, -1), 4, 'ResNet') == (2, 3)
    assert resolve_levels((0,), 1, 'ResNet') == (0,)


def test_a_level_that_does_not_exist_names_how_many_there_are():
    with pytest.raises(ValueError, match='level 4 does not exist: ResNet returns 4 level.*-4 to 3 are allowed'):
        resolve_levels((2, 4), 4, 'ResNet')
    with pytest.raises(ValueError, match='level -2 does not exist: ResNet returns 1 level'):
        resolve_levels((-2, -1), 1, 'ResNet')


def test_a_level_named_twice_is_refused():
    with pytest.raises(ValueError, match=r'levels \(3, -1\) name a level of ResNet twice'):
        resolve_levels((3, -1), 4, 'ResNet')
