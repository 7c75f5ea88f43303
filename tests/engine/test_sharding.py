"""MMEngine's FSDPStrategy over gloo: two processes train on a CPU, and our hooks refuse before the first batch."""
import os
import subprocess
import sys
import textwrap

import pytest

WORKER = textwrap.dedent('''
    import sys
    import torch, torch.distributed as dist
    from mmengine.model import BaseModel
    from mmengine.runner import FlexibleRunner
    import agssp_mm
    torch.set_num_threads(1)
    rank, folder = int(sys.argv[1]), sys.argv[2]
    # Of its own accord MMEngine would set a GPU for each process.
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)

    class Toy(BaseModel):
        def __init__(self):
            super().__init__()
            self.backbone = torch.nn.Linear(4, 2)

        def forward(self, inputs, mode='tensor'):
            return dict(loss=self.backbone(inputs).pow(2).mean())

    for hooks in ([], ['DistillationPretrainer'], ['DetectorExportHook']):
        torch.manual_seed(0)
        runner = FlexibleRunner(
            model=Toy(), work_dir=f'{folder}/run', train_dataloader=dict(
                dataset=[dict(inputs=torch.ones(4))] * 4, batch_size=2, sampler=dict(type='DefaultSampler'),
                collate_fn=dict(type='default_collate')),
            strategy=dict(type='FSDPStrategy', model_wrapper=dict(
                type='MMFullyShardedDataParallel', device_id=torch.device('cpu'))),
            train_cfg=dict(by_epoch=True, max_epochs=1), optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            custom_hooks=[dict(type=name) for name in hooks], default_hooks=dict(checkpoint=None), launcher='pytorch',
            log_level='ERROR', experiment_name='_'.join(hooks) or 'none')
        try:
            runner.train()
            here = sum(one.numel() for one in runner.model.parameters())
            print(f'{hooks}: {runner.iter} iterations of {type(runner.model).__name__}, {here} of 10 parameters here')
        except ValueError as error:
            print(f'{hooks}: refused after {runner.iter} iterations: {error}')
    dist.barrier()
    dist.destroy_process_group()
''')


@pytest.mark.slow
def test_fsdp_trains_on_a_cpu_and_is_refused_by_our_hooks(tmp_path):
    environment = dict(os.environ, OMP_NUM_THREADS='1', LOCAL_RANK='0', WORLD_SIZE='2')
    processes = [subprocess.Popen([sys.executable, '-c', WORKER, str(rank), str(tmp_path)],
                                  env=dict(environment, RANK=str(rank)), text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT) for rank in range(2)]
    for process in processes:
        printed = process.communicate(timeout=240)[0]
        assert process.returncode == 0, printed
        assert '[]: 1 iterations of MMFullyShardedDataParallel, 5 of 10 parameters here' in printed
        for hook in ('DistillationPretrainer', 'DetectorExportHook'):
            assert (f"['{hook}']: refused after 0 iterations: the model is wrapped by MMFullyShardedDataParallel, "
                    'which may leave each process with a part of the weights only') in printed
    assert not list((tmp_path / 'run').rglob('*.pth'))
