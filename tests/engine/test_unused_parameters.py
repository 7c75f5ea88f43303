import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from agssp_mm.engine.unused_parameters import (check_unused_parameters, finds_unused_parameters,
                                               require_unused_parameters)


@pytest.fixture
def group(tmp_path):
    dist.init_process_group('gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)
    yield
    dist.destroy_process_group()


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, x):
        return self.first(x)


def test_only_plain_distributed_models_do_not_cope(group):
    assert finds_unused_parameters(Two())
    assert finds_unused_parameters(DistributedDataParallel(Two(), find_unused_parameters=True))
    assert not finds_unused_parameters(DistributedDataParallel(Two()))


def test_requirement_says_what_to_set(group):
    require_unused_parameters(Two(), 'freezing')
    with pytest.raises(ValueError, match='^freezing; under distributed training set `find_unused_parameters=True`'):
        require_unused_parameters(DistributedDataParallel(Two()), 'freezing')


def test_parameters_out_of_reach_are_counted_and_named(group):
    model = DistributedDataParallel(Two())
    losses = dict(loss=model(torch.ones(1, 2)).sum(), agreement=torch.zeros(()))
    with pytest.raises(ValueError, match=r'leave 2 trainable parameter.*gradient \(second.weight, second.bias\)'):
        check_unused_parameters(model, losses)
    losses['loss_more'] = [model.module.second(torch.ones(1, 2)).sum()]
    check_unused_parameters(model, losses)
    model.module.second.requires_grad_(False)
    check_unused_parameters(model, dict(loss=losses['loss']))


def test_reentrant_checkpointing_hides_the_graph_and_is_let_through(group):
    model = DistributedDataParallel(Two())
    hidden = checkpoint(model.module.first, torch.ones(1, 2, requires_grad=True), use_reentrant=True)
    check_unused_parameters(model, dict(loss=hidden.sum()))


def test_reentrant_checkpointing_is_refused_where_it_fails_in_the_backward_pass(group):
    model = DistributedDataParallel(Two(), find_unused_parameters=True)
    hidden = checkpoint(model.module.first, torch.ones(1, 2, requires_grad=True), use_reentrant=True)
    with pytest.raises(ValueError, match='find_unused_parameters=True: set with_cp=False'):
        check_unused_parameters(model, dict(loss=hidden.sum()))
    seen = checkpoint(model.module.first, torch.ones(1, 2, requires_grad=True), use_reentrant=False)
    check_unused_parameters(model, dict(loss=seen.sum()))
    check_unused_parameters(Two(), dict(loss=hidden.sum()))
