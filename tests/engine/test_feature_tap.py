import pytest
import torch
from torch import nn

from agssp_mm.engine.feature_tap import FeatureTap


@pytest.fixture
def backbone():
    return nn.Conv2d(3, 2, 1)


def test_only_calls_while_open_are_recorded_with_the_size_of_their_input(backbone):
    tap = FeatureTap(backbone)
    backbone(torch.zeros(1, 3, 4, 4))
    tap.open()
    output = backbone(torch.zeros(1, 3, 5, 6))
    assert [call.size for call in tap.calls] == [(5, 6)] and tap.calls[0].outputs is output
    tap.close()
    backbone(torch.zeros(1, 3, 4, 4))
    assert tap.calls == [] and not backbone._forward_hooks


def test_opening_again_starts_anew_and_leaves_one_hook(backbone):
    tap = FeatureTap(backbone)
    tap.open()
    backbone(torch.zeros(1, 3, 5, 6))
    tap.open()
    assert tap.calls == [] and len(backbone._forward_hooks) == 1


def test_calls_without_gradient_are_not_recorded(backbone):
    tap = FeatureTap(backbone)
    tap.open()
    with torch.no_grad():
        backbone(torch.zeros(1, 3, 5, 6))
    assert tap.calls == []


def test_a_call_without_image_is_refused():
    tap = FeatureTap(module := nn.Identity())
    tap.open()
    with pytest.raises(ValueError, match='Identity was called without an image tensor'):
        module([1])
