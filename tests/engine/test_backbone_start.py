"""The backbone of one file, the rest of another."""
import hashlib

import pytest
import torch
from mmengine.registry import MODELS

from agssp_mm.checkpoints.export import save_checkpoint
from agssp_mm.engine.backbone_start import BackboneStartHook
from agssp_mm.engine.weight_sources import describe_parents

NAME = 'backbone.stages.0.bias'


@pytest.fixture
def files(tmp_path):
    """A bare backbone of ones, and under a detector's names one of twos with a neck and one of threes."""
    state = MODELS.build(dict(type='ToyBackbone')).state_dict()
    filled = [{name: torch.full_like(value, number) for name, value in state.items()} for number in (1, 2, 3)]
    torch.save(filled[0], tmp_path / 'bare.pth')
    for name, one, more in (('whole.pth', filled[1], {'neck.weight': torch.ones(1)}), ('trained.pth', filled[2], {})):
        save_checkpoint(tmp_path / name, {f'backbone.{key}': value for key, value in one.items()} | more)
    return tmp_path


def loaded(make_runner, file, hook, **more):
    runner = make_runner(load_from=str(file), hooks=(dict(type='DistillationPretrainer'), dict(type='LoadReportHook'),
                                                     hook), **more)
    runner.load_or_resume()
    return runner, {float(value.unique()) for value in runner.model.backbone.state_dict().values()}


def test_a_bare_backbone_is_loaded(make_runner, files):
    assert loaded(make_runner, files / 'bare.pth', dict(type='BackboneStartHook'))[1] == {1.0}


def test_the_backbone_of_another_file_takes_its_place(make_runner, files):
    hook = dict(type='BackboneStartHook', checkpoint=str(files / 'trained.pth'))
    runner, values = loaded(make_runner, files / 'whole.pth', hook)
    assert values == {3.0}
    assert [(one['into'], one['sha256']) for one in describe_parents(runner)] == [
        ('load_from', hashlib.sha256((files / 'whole.pth').read_bytes()).hexdigest()),
        ('backbone', hashlib.sha256((files / 'trained.pth').read_bytes()).hexdigest())]
    checkpoint = dict(state_dict=torch.load(files / 'whole.pth', weights_only=True)['state_dict'])
    BackboneStartHook(str(files / 'trained.pth')).after_load_checkpoint(runner, checkpoint)
    assert float(checkpoint['state_dict']['neck.weight']) == 1.0  # the rest of the first file stays
    assert float(checkpoint['state_dict'][NAME][0]) == 3.0


def test_averages_begin_with_it_too(make_runner, files):
    runner = make_runner(load_from=str(files / 'bare.pth'), hooks=(
        dict(type='DistillationPretrainer'), dict(type='EMAHook'), dict(type='BackboneStartHook')))
    runner.call_hook('before_run')
    runner.load_or_resume()
    averaged = next(hook for hook in runner.hooks if hasattr(hook, 'ema_model')).ema_model.module.backbone
    assert {float(value.unique()) for value in averaged.state_dict().values()} == {1.0}


def test_a_resumed_run_keeps_its_weights(make_runner, files):
    runner = make_runner(load_from=str(files / 'whole.pth'))
    runner._resume = True
    checkpoint = torch.load(files / 'whole.pth', weights_only=True)
    BackboneStartHook(str(files / 'trained.pth')).after_load_checkpoint(runner, checkpoint)
    assert float(checkpoint['state_dict'][NAME][0]) == 2.0


def test_a_file_without_a_backbone_is_refused(make_runner, files):
    with pytest.raises(ValueError, match='bare.pth has no tensor whose name starts with "backbone."'):
        loaded(make_runner, files / 'whole.pth', dict(type='BackboneStartHook', checkpoint=str(files / 'bare.pth')))
