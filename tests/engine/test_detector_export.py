import torch


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
