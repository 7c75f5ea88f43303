from types import SimpleNamespace

import torch
from torch import nn

from agssp_mm.engine.channels_last import ChannelsLastHook


def test_weights_keep_their_values_and_identity_in_another_order():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    optimized, before = model[0].weight, model[0].weight.detach().clone()
    inputs = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = model.eval()(inputs)
    ChannelsLastHook().before_train(SimpleNamespace(model=model))
    assert model[0].weight is optimized and torch.equal(optimized, before)
    assert optimized.is_contiguous(memory_format=torch.channels_last)
    outputs = model(inputs)
    assert outputs.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(outputs, expected)
