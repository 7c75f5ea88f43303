import pytest
import torch
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel


def test_the_whole_model_is_written_plain_with_what_made_it(make_runner, tmp_path):
    first = make_runner(hooks=[dict(type='DistillationPretrainer')], epochs=1, work_dir=str(tmp_path / 'first'))
    first.train()
    parent = f'{first.work_dir}/backbone.pth'
    second = make_runner(hooks=[dict(type='DistillationPretrainer'), dict(type='DetectorExportHook')], load_from=parent)
    second.train()
    written = torch.load(f'{second.work_dir}/detector.pth', weights_only=True)
    assert set(written['state_dict']) == set(second.model.state_dict())
    assert all(torch.equal(value, second.model.state_dict()[name]) for name, value in written['state_dict'].items())
    meta = written['meta']
    assert meta['dataset_meta'] == dict(classes=['anomaly']) and meta['iter'] == 4
    assert [one['into'] for one in meta['parents']] == ['load_from'] and meta['parents'][0]['checkpoint'] == parent


def test_it_is_the_next_run_s_load_from(make_runner, tmp_path):
    first = make_runner(hooks=[dict(type='DistillationPretrainer'), dict(type='DetectorExportHook')])
    first.train()
    second = make_runner(load_from=f'{first.work_dir}/detector.pth', lr=0.0, work_dir=str(tmp_path / 'second'))
    second.train()
    for one, other in zip(first.model.parameters(), second.model.parameters()):
        assert torch.equal(one, other)


class Sharded(FullyShardedDataParallel):
    """What FSDP looks like from outside; test_sharding.py has the real one."""

    def __init__(self, module):
        nn.Module.__init__(self)
        self.inner = module

    @property
    def module(self):
        return self.inner


class MMDeepSpeedEngineWrapper(nn.Module):
    """What MMEngine wraps an engine of DeepSpeed in."""

    def __init__(self, module):
        super().__init__()
        self.module = module


@pytest.mark.parametrize('wrapper', [Sharded, MMDeepSpeedEngineWrapper])
@pytest.mark.parametrize('hook', ['DistillationPretrainer', 'DetectorExportHook'])
def test_a_sharded_model_is_refused_before_training(make_runner, monkeypatch, wrapper, hook):
    runner = make_runner(hooks=[dict(type=hook)])
    runner.model = wrapper(runner.model)
    hook = next(one for one in runner.hooks if type(one).__name__ == hook)
    monkeypatch.setattr('agssp_mm.engine.distillation_pretrainer._unwrap', lambda model: model.module)
    with pytest.raises(ValueError, match=f'wrapped by {wrapper.__name__}, .* use DDPStrategy'):
        hook.before_train(runner)
