"""The hook together with what else a run may use: accumulation, averaging, mixed precision, resuming."""
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS, OPTIM_WRAPPERS
from torch import nn

from agssp_mm.models.activation import activation_map, resize_map
from agssp_mm.models.losses import cosine_map_loss


def exported(runner):
    return torch.load(f'{runner.work_dir}/backbone.pth', weights_only=True)


class Collect(Hook):
    """Keeps the weights and logs after every iteration."""

    def __init__(self):
        self.weights, self.outputs = [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.weights.append({name: value.clone() for name, value in runner.model.state_dict().items()})
        self.outputs.append(outputs)


class Die(Hook):
    """Stands for a killed run: raises after the second epoch's first iteration."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.epoch == 1:
            raise KeyboardInterrupt


def test_accumulated_half_batches_equal_whole_batches(make_runner, toys):
    whole = make_runner(loader=toys.loader(batch_size=4))
    halves = make_runner(loader=toys.loader(batch_size=2),
                         optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1), accumulative_counts=2))
    start = whole.model.backbone.stages[0].weight.clone()
    whole.train()
    halves.train()
    for one, other in zip(whole.model.parameters(), halves.model.parameters()):
        assert torch.allclose(one, other, atol=1e-6)
    assert not torch.allclose(whole.model.backbone.stages[0].weight, start, atol=1e-3)


def test_the_last_weights_are_exported_under_a_detectors_names(make_runner):
    collect = Collect()
    runner = make_runner(hooks=[dict(type='DistillationPretrainer'), collect])
    runner.train()
    written = exported(runner)
    assert set(written['state_dict']) == {f'backbone.stages.{i}.{kind}' for i in range(3)
                                          for kind in ('weight', 'bias')}
    for name, value in written['state_dict'].items():
        assert torch.equal(value, collect.weights[-1][name])
    assert written['meta']['epoch'] == 2 and written['meta']['iter'] == 4


def test_averaged_weights_are_exported_where_they_are_kept(make_runner):
    collect = Collect()
    runner = make_runner(hooks=[dict(type='DistillationPretrainer'), collect, dict(type='EMAHook', momentum=0.25)])
    runner.train()
    average = collect.weights[0]
    for weights in collect.weights[1:]:
        average = {name: 0.75 * value + 0.25 * weights[name] for name, value in average.items()}
    for name, value in exported(runner)['state_dict'].items():
        assert torch.allclose(value, average[name], atol=1e-6)
        assert not torch.equal(value, collect.weights[-1][name])


def test_a_killed_run_resumes_to_the_same_weights_and_logs(make_runner, tmp_path):
    checkpoints = dict(default_hooks=dict(logger=None, timer=None, checkpoint=dict(type='CheckpointHook', interval=1)))
    settings = dict(type='DistillationPretrainer', weight=(1.0, 0.25))
    ema = dict(type='EMAHook', momentum=0.25)
    collect = Collect()
    straight = make_runner(hooks=[settings, ema, collect], epochs=3, work_dir=str(tmp_path / 'straight'), **checkpoints)
    straight.train()
    with pytest.raises(KeyboardInterrupt):
        make_runner(hooks=[settings, ema, Die()], epochs=3, work_dir=str(tmp_path / 'killed'), **checkpoints).train()
    after = Collect()
    resumed = make_runner(hooks=[settings, ema, after], epochs=3, work_dir=str(tmp_path / 'killed'), resume=True,
                          **checkpoints)
    resumed.train()
    assert resumed.iter == straight.iter == 6 and len(after.outputs) == 4
    for one, other in zip(straight.model.parameters(), resumed.model.parameters()):
        assert torch.equal(one, other)
    for name, value in exported(straight)['state_dict'].items():
        assert torch.equal(value, exported(resumed)['state_dict'][name])
    for one, other in zip(collect.outputs[2:], after.outputs):
        assert one == other


def test_a_resumed_run_still_knows_its_parents(make_runner, tmp_path):
    first = make_runner(work_dir=str(tmp_path / 'first'))
    first.train()
    parent = f'{first.work_dir}/backbone.pth'
    checkpoints = dict(default_hooks=dict(logger=None, timer=None, checkpoint=dict(type='CheckpointHook', interval=1)))
    with pytest.raises(KeyboardInterrupt):
        make_runner(hooks=[dict(type='DistillationPretrainer'), Die()], load_from=parent, **checkpoints).train()
    resumed = make_runner(resume=True, **checkpoints)
    resumed.train()
    made_from = exported(resumed)['meta']['parents']
    assert [one['checkpoint'] for one in made_from] == [parent] and len(made_from[0]['sha256']) == 64


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(OptimWrapper):
    """Mixed precision that runs on a CPU; MMEngine's needs an accelerator."""

    def optim_context(self, model):
        return torch.autocast('cpu', torch.bfloat16)


def test_the_loss_of_half_precision_features_is_computed_in_float32(make_runner, toys):
    collect = Collect()
    runner = make_runner(hooks=[dict(type='DistillationPretrainer', levels=(2,)), collect], epochs=1,
                         optim_wrapper=dict(type='Bfloat16OptimWrapper', optimizer=dict(type='SGD', lr=0.0)))
    runner.train()
    data = toys.Maps()
    with torch.autocast('cpu', torch.bfloat16):
        feature = runner.model.backbone(data.images[:4])[2]
    assert feature.dtype == torch.bfloat16
    wanted = cosine_map_loss(activation_map(feature.float()), *resize_map(data.maps[:4, None], (4, 4)))
    assert collect.outputs[0]['loss_anomaly_s2'].dtype == torch.float32
    assert collect.outputs[0]['loss_anomaly_s2'].item() == pytest.approx(wanted.item(), abs=1e-6)


@MODELS.register_module()
class MatrixLoss(nn.Module):
    """A loss of matrix products, which autocast would compute in bfloat16."""

    def forward(self, activation, anomaly, valid):
        return (activation.flatten(1) @ anomaly.flatten(1).T).mean()


def test_any_loss_is_computed_in_float32(make_runner):
    collect = Collect()
    runner = make_runner(hooks=[dict(type='DistillationPretrainer', loss=dict(type='MatrixLoss')), collect], epochs=1,
                         optim_wrapper=dict(type='Bfloat16OptimWrapper', optimizer=dict(type='SGD', lr=0.0)))
    runner.train()
    assert collect.outputs[0]['loss_anomaly_s2'].dtype == torch.float32


def test_an_iteration_based_run_works_as_well(make_runner):
    collect = Collect()
    runner = make_runner(hooks=[dict(type='DistillationPretrainer', weight=(1.0, 0.0), levels=(-1,)), collect],
                         train_cfg=dict(by_epoch=False, max_iters=2), lr=0.0)
    runner.train()
    assert collect.outputs[0]['loss_anomaly_s2'] > 0 and collect.outputs[1]['loss_anomaly_s2'] == 0
    assert exported(runner)['meta']['iter'] == 2
