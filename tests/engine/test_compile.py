"""`compile=...` of the runner turns the training step, forward hooks included, into compiled graphs."""
import pytest
import torch
from mmengine.config import Config

pytestmark = pytest.mark.slow


@pytest.mark.parametrize('backend', ['eager', 'inductor'])
def test_a_compiled_training_step_learns_the_same(make_runner, toys, tmp_path, backend):
    hooks = [dict(type='DistillationPretrainer', weight=(1.0, 0.5))]
    plain = make_runner(hooks=hooks, epochs=3)
    plain.train()
    torch._dynamo.reset()
    compiled = make_runner(hooks=hooks, epochs=3, work_dir=str(tmp_path / 'compiled'),
                           cfg=Config(dict(compile=dict(backend=backend))))
    start = {name: value.clone() for name, value in compiled.model.state_dict().items()}
    compiled.train()
    assert torch._dynamo.utils.counters['stats']['unique_graphs'] > 0
    for name, value in plain.model.state_dict().items():
        assert torch.allclose(compiled.model.state_dict()[name], value, atol=1e-5)
        assert not torch.allclose(value, start[name], atol=1e-4)
    losses = [runner.message_hub.get_scalar('train/loss_anomaly_s1').data[0] for runner in (plain, compiled)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert toys.count_hooks(compiled.model) == 0
