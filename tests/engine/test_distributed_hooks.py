"""The hooks in two processes over gloo, as torchrun starts them, against one process."""
import os
import subprocess
import sys
import textwrap

import pytest
import torch

HERE = os.path.dirname(__file__)
CASES = {
    'distil': (dict(type='DistillationPretrainer', levels=(-2, -1)), False),
    'early levels': (dict(type='DistillationPretrainer', levels=(0,)), False),
    'early levels, allowed': (dict(type='DistillationPretrainer', levels=(0,)), True),
    'freeze': (dict(type='FreezeHook', modules=('backbone.stages.0',)), False),
    'freeze, allowed': (dict(type='FreezeHook', modules=('backbone.stages.0',)), True),
}
# One of two ranks: runs all cases, and saves for each what went wrong or what came out.
WORKER = textwrap.dedent('''
    import importlib.util, sys
    import torch, torch.distributed as dist
    from mmengine.config import Config
    from mmengine.runner import Runner
    from agssp_mm.engine.launch import leave_group
    torch.set_num_threads(1)
    rank, folder, helpers, cases = int(sys.argv[1]), sys.argv[2], sys.argv[3], eval(sys.argv[4])
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
    spec = importlib.util.spec_from_file_location('toys', helpers)
    toys = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(toys)
    distil = dict(type='DistillationPretrainer', levels=(-2, -1))
    results = {}
    for case, (hook, unused) in cases.items():
        torch.manual_seed(0)
        wrapper = dict(device_ids=None, broadcast_buffers=False, find_unused_parameters=unused)
        runner = Runner(
            model=toys.toy_model(), work_dir=f'{folder}/{case}', train_dataloader=toys.toy_loader(batch_size=2),
            train_cfg=dict(by_epoch=True, max_epochs=2), optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            custom_hooks=[hook] if hook['type'] == distil['type'] else [distil, hook], launcher='pytorch',
            default_hooks=dict(logger=None, checkpoint=None, timer=None), randomness=dict(seed=0), log_level='ERROR',
            experiment_name=case.replace(' ', '_'), cfg=Config(dict(model_wrapper_cfg=wrapper)))
        try:
            runner.train()
            results[case] = dict(state=runner.model.module.state_dict(), hooks=toys.count_hooks(runner.model.module))
        except ValueError as error:
            results[case] = dict(error=str(error), hooks=toys.count_hooks(runner.model.module))
        dist.barrier()
    torch.save(results, f'{folder}/rank{rank}.pth')
    leave_group()
''')

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def two(tmp_path_factory):
    """Results of all cases, per rank, and the folder of their work_dirs."""
    folder = tmp_path_factory.mktemp('two')
    environment = dict(os.environ, OMP_NUM_THREADS='1', LOCAL_RANK='0', WORLD_SIZE='2')
    processes = [subprocess.Popen([sys.executable, '-c', WORKER, str(rank), str(folder),
                                   os.path.join(HERE, 'conftest.py'), repr(CASES)],
                                  env=dict(environment, RANK=str(rank)), text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT) for rank in range(2)]
    printed = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], '\n'.join(printed)
    return [torch.load(folder / f'rank{rank}.pth', weights_only=True) for rank in range(2)], folder


def test_two_processes_train_as_one_that_averages_the_halves(two, make_runner, toys):
    ranks, folder = two
    halves = dict(optimizer=dict(type='SGD', lr=0.1), accumulative_counts=2)
    data = toys.Maps()
    # A rank takes every other image: these are the two halves of each of its batches, one after the other.
    order = [0, 2, 1, 3, 4, 6, 5, 7]
    data.images, data.maps = data.images[order], data.maps[order]
    one = make_runner(loader=toys.loader(data, batch_size=2), optim_wrapper=halves)
    start = {name: value.clone() for name, value in one.model.state_dict().items()}
    one.train()
    first, second = (rank['distil']['state'] for rank in ranks)
    for name, value in one.model.state_dict().items():
        assert torch.allclose(first[name], value, atol=1e-6) and torch.equal(first[name], second[name])
        assert not torch.allclose(value, start[name], atol=1e-5)
    written = torch.load(folder / 'distil' / 'backbone.pth', weights_only=True)['state_dict']
    assert all(torch.equal(written[name], value) for name, value in first.items())


def test_no_hook_is_left_in_any_case(two):
    assert [[result['hooks'] for result in rank.values()] for rank in two[0]] == [[0] * len(CASES)] * 2


@pytest.mark.parametrize('case, message', [
    ('early levels', 'the losses leave 4 trainable parameter(s) without gradient'),
    ('freeze', 'FreezeHook takes 2 parameters of backbone.stages.0 out of training'),
])
def test_unused_parameters_are_refused_with_what_to_set(two, case, message):
    for rank in two[0]:
        assert message in rank[case]['error'] and 'find_unused_parameters=True' in rank[case]['error']


@pytest.mark.parametrize('case, wanted', [('early levels, allowed', {'0'}), ('freeze, allowed', {'1', '2'})])
def test_where_unused_parameters_are_allowed_only_the_others_move(two, make_runner, case, wanted):
    start = make_runner().model.state_dict()
    for rank in two[0]:
        state = rank[case]['state']
        moved = {name.split('.')[2] for name, value in state.items() if not torch.equal(value, start[name])}
        assert moved == wanted
