import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import DATA_SAMPLERS
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

from agssp_mm.datasets import split_epoch_sampler
from agssp_mm.datasets.split_epoch_sampler import SplitEpochSampler


def epochs_of(sampler, numbers):
    found = []
    for number in numbers:
        sampler.set_epoch(number)
        found.append(list(sampler))
        assert len(found[-1]) == len(sampler)
    return found


def test_a_pass_goes_over_all_and_the_next_in_another_order():
    sampler = SplitEpochSampler(range(12), parts=3, seed=5)
    *first, again, second, third = epochs_of(sampler, range(6))
    assert sorted(sum(first, [])) == sorted(again + second + third) == list(range(12))
    assert [len(part) for part in first] == [4, 4, 4] and first != [again, second, third]
    # From any epoch on, and in another process of the same seed, the order is the same.
    assert epochs_of(SplitEpochSampler(range(12), parts=3, seed=5), [4]) == [second]
    assert epochs_of(SplitEpochSampler(range(12), parts=3, seed=6), range(3)) != first


def test_without_shuffling_and_filled_up_from_the_start():
    assert epochs_of(SplitEpochSampler(range(7), parts=3, shuffle=False), range(4)) == [
        [0, 1, 2], [3, 4, 5], [6, 0, 1], [0, 1, 2]]
    assert epochs_of(SplitEpochSampler(range(1), parts=3, shuffle=False), range(3)) == [[0], [0], [0]]


def test_processes_see_different_images(monkeypatch):
    found = []
    for rank in range(2):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, 2))
        found += epochs_of(SplitEpochSampler(range(12), parts=3, seed=5), range(3))
    assert [len(part) for part in found] == [2] * 6 and sorted(sum(found, [])) == list(range(12))


def test_one_part_is_the_default_sampler():
    default = DATA_SAMPLERS.build(dict(type='DefaultSampler', dataset=range(9), seed=3))
    assert epochs_of(SplitEpochSampler(range(9), seed=3), range(3)) == epochs_of(default, range(3))


def test_parts_below_one():
    with pytest.raises(ValueError, match='parts .* must be at least 1, got 0'):
        SplitEpochSampler(range(3), parts=0)


class Numbers(Dataset):
    metainfo = dict(classes=('anomaly', ))

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return index


class Listening(nn.Module):
    """Writes down what it is given."""

    def __init__(self):
        super().__init__()
        self.weight, self.seen = nn.Parameter(torch.zeros(1)), []

    def train_step(self, data, optim_wrapper):
        self.seen += data.tolist()
        return dict(loss=self.weight)


def run(folder, name, killed_after=None, **more):
    """What a model of six images in three parts is given in six epochs, a step each."""
    model = Listening()
    runner = Runner(model, str(folder), experiment_name=name, randomness=dict(seed=1),
                    train_dataloader=dict(dataset=Numbers(), batch_size=2, num_workers=0, collate_fn=torch.tensor,
                                          sampler=dict(type='SplitEpochSampler', parts=3)),
                    train_cfg=dict(by_epoch=True, max_epochs=6), optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
                    default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1)), **more)
    if killed_after is not None:
        runner.register_hook(KilledBefore(killed_after))
    runner.train()
    return model.seen


class KilledBefore(Hook):

    def __init__(self, step):
        self.step = step

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.step:
            raise KeyboardInterrupt


def test_a_run_that_was_killed_goes_on_with_the_next_part(tmp_path):
    whole = run(tmp_path / 'whole', 'whole')
    assert sorted(whole[:6]) == sorted(whole[6:]) == list(range(6))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / 'cut', 'cut', killed_after=2)
    assert run(tmp_path / 'cut', 'resumed', resume=True) == whole[4:]


def test_the_module_is_registered_with_the_package():
    assert DATA_SAMPLERS.get('SplitEpochSampler') is split_epoch_sampler.SplitEpochSampler
