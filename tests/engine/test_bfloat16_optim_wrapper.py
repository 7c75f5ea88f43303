import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

import agssp_mm  # noqa: F401


def test_forward_runs_in_bfloat16_and_weights_stay_float32():
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    wrapper = build_optim_wrapper(model, dict(type='BFloat16OptimWrapper', optimizer=dict(type='SGD', lr=0.5)))
    inputs, before = torch.rand(3, 4), model.weight.detach().clone()
    with wrapper.optim_context(model):
        outputs = model(inputs)
    assert outputs.dtype == torch.bfloat16
    wrapper.update_params(outputs.float().mean())
    assert model.weight.dtype == torch.float32
    torch.testing.assert_close(model.weight, before - 0.5 * inputs.mean(0, keepdim=True), rtol=0, atol=5e-3)
    assert model(inputs).dtype == torch.float32
