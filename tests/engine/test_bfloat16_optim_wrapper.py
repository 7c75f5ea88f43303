import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from agssp_mm.engine import bfloat16_optim_wrapper


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


@pytest.mark.parametrize(('units', 'warned'), [({}, True), (dict(avx512_bf16=True), False), (dict(bf16=True), False)])
def test_a_processor_without_bfloat16_is_warned_of(units, warned, monkeypatch):
    monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: dict(dict(avx512_bf16=False, amx_bf16=False), **units),
                        raising=False)
    said = []
    monkeypatch.setattr(bfloat16_optim_wrapper, 'print_log', lambda message, *where: said.append(message))
    build_optim_wrapper(nn.Linear(4, 1), dict(type='BFloat16OptimWrapper', optimizer=dict(type='SGD', lr=0.5)))
    assert [message.split(',')[0] for message in said] == ['this processor has no units for bfloat16'] * warned
