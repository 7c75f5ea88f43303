"""Tensors are kept whole and found again; damaged files cost time, not the run."""
import logging

import torch

from agssp_mm.teachers.kead_cache import TensorCache, content_digest


class Counted:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return torch.arange(3) + self.calls


def test_a_tensor_is_made_once_per_digest(tmp_path):
    make, cache = Counted(), TensorCache(tmp_path / 'deep' / 'cache')
    assert cache.get('text', 'a', make).tolist() == [1, 2, 3]
    assert TensorCache(tmp_path / 'deep' / 'cache').get('text', 'a', make).tolist() == [1, 2, 3]
    assert cache.get('text', 'b', make).tolist() == [2, 3, 4]
    assert make.calls == 2
    assert sorted(path.name for path in cache.folder.iterdir()) == ['text-a.pt', 'text-b.pt']


def test_without_a_folder_nothing_is_kept():
    make = Counted()
    assert [TensorCache(None).get('text', 'a', make).tolist()[0] for _ in range(2)] == [1, 2]


def test_a_damaged_file_is_made_anew(tmp_path, caplog):
    make, cache = Counted(), TensorCache(tmp_path)
    (tmp_path / 'text-a.pt').write_bytes(b'half')
    with caplog.at_level(logging.WARNING):
        assert cache.get('text', 'a', make).tolist() == [1, 2, 3]
    assert 'text-a.pt cannot be read and is made anew' in caplog.text
    assert cache.get('text', 'a', make).tolist() == [1, 2, 3] and make.calls == 1


def test_digest_tells_values_apart():
    assert content_digest('a', [1, 2]) == content_digest('a', (1, 2)) != content_digest('a', [2, 1])
    assert len(content_digest()) == 64
