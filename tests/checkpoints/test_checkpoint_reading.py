import hashlib

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim import OneCycleLR
from mmengine.runner import checkpoint as mmengine_checkpoint

from agssp_mm.checkpoints import reading
from agssp_mm.checkpoints.reading import read_checkpoint, sha256, weights_of


class Foreign:
    """Some class of a stranger's file."""


def test_checkpoints_of_the_runner_are_read(tmp_path):
    path = tmp_path / 'epoch_1.pth'
    torch.save(dict(state_dict=dict(a=torch.ones(2)), message_hub=dict(loss=HistoryBuffer([1.0], [1]))), path)
    assert torch.equal(read_checkpoint(path)['state_dict']['a'], torch.ones(2))


def test_checkpoints_of_the_runner_are_read_beside_an_mmengine_without_a_list(tmp_path, monkeypatch):
    monkeypatch.delattr(mmengine_checkpoint, 'get_torch_safe_globals', raising=False)
    path = tmp_path / 'epoch_1.pth'
    buffer = HistoryBuffer([1.0, 2.0], [1, 1])
    torch.save(dict(state_dict=dict(a=torch.ones(2)), message_hub=dict(loss=buffer, lr=np.float64(0.1))), path)
    before = torch.serialization.get_safe_globals()
    try:
        assert read_checkpoint(path)['message_hub']['loss'].mean() == 1.5
        assert torch.load(path, weights_only=True)['message_hub']['lr'] == 0.1  # as its own loader does now
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def test_the_one_cycle_schedule_of_the_runner_is_read(tmp_path):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1, momentum=0.9)
    schedule = OneCycleLR(optimizer, eta_max=0.1, total_steps=4)
    torch.save(dict(state_dict={}, param_schedulers=[schedule.state_dict()]), tmp_path / 'epoch_1.pth')
    assert read_checkpoint(tmp_path / 'epoch_1.pth')['param_schedulers'][0]['total_steps'] == 4


def test_what_needs_unpickling_is_refused_unless_trusted(tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(dict(thing=Foreign()), path)
    with pytest.raises(ValueError, match='a.pth holds more than tensors .*Foreign.*--trust-checkpoint'):
        read_checkpoint(path)
    assert isinstance(read_checkpoint(path, trust=True)['thing'], Foreign)


def test_missing_files_and_folders_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match='gone.pth does not exist'):
        read_checkpoint(tmp_path / 'gone.pth')
    with pytest.raises(FileNotFoundError, match='is a folder'):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize('damage, message', [
    (lambda data: b'', 'is no checkpoint: it is empty'),
    (lambda data: b'<html>', 'is no checkpoint: it is no archive'),
    (lambda data: data[:len(data) // 2], 'is no readable checkpoint, or is cut off'),
])
def test_damaged_files_are_refused(tmp_path, damage, message):
    path = tmp_path / 'a.pth'
    torch.save(dict(a=torch.ones(1000)), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=f'a.pth {message}'):
        read_checkpoint(path)


def test_a_bare_tensor_is_no_checkpoint(tmp_path):
    torch.save(torch.ones(2), tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='is no checkpoint: it holds a Tensor'):
        read_checkpoint(tmp_path / 'a.pth')


def test_urls_are_read_from_the_download_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    (tmp_path / 'checkpoints').mkdir()
    torch.save(dict(a=torch.ones(2)), tmp_path / 'checkpoints' / 'resnet50-0676ba61.pth')
    for url in ('https://example.org/weights/resnet50-0676ba61.pth?download=1', 'torchvision://resnet50'):
        assert torch.equal(read_checkpoint(url)['a'], torch.ones(2))


def test_a_rank_of_another_machine_downloads_what_its_disk_lacks(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file',
                        lambda url, path, progress: torch.save(dict(a=torch.ones(2)), path))
    monkeypatch.setattr(reading, 'is_main_process', lambda: False)
    assert torch.equal(read_checkpoint('https://a.org/b.pth')['a'], torch.ones(2))


def test_an_unreachable_url_says_where_to_put_the_file(tmp_path, monkeypatch):
    def fail(url, path, progress):
        raise OSError('no route to host')

    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', fail)
    with pytest.raises(FileNotFoundError, match='cannot download https://a.org/b.pth .no route.*checkpoints/b.pth'):
        read_checkpoint('https://a.org/b.pth')


def test_an_unknown_name_of_a_model_zoo_is_refused():
    with pytest.raises(FileNotFoundError, match='MMEngine knows no checkpoint torchvision://resnet51'):
        read_checkpoint('torchvision://resnet51')


def test_weights_are_found_where_mmengine_finds_them():
    one = torch.ones(1)
    assert weights_of(dict(state_dict={'module.backbone.a': one, 'head.b': one})) == {'backbone.a': one, 'head.b': one}
    assert weights_of({'backbone.a': one, 'head.b': one, 'epoch': 3}, 'backbone.') == {'a': one}
    assert weights_of(dict(state_dict='other')) == {}


def test_hash_of_a_file(tmp_path):
    (tmp_path / 'a').write_bytes(b'abc')
    assert sha256(tmp_path / 'a') == hashlib.sha256(b'abc').hexdigest()
    assert sha256(tmp_path / 'gone') is None and sha256('https://a.org/b.pth') is None
