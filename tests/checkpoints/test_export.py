import os

import mmengine
import numpy as np
import pytest
import torch
from mmengine.model import BaseModule
from torch import nn

import agssp_mm
from agssp_mm.checkpoints.export import plain, save_checkpoint


def test_it_loads_as_weights_only_with_its_metadata(tmp_path):
    path = tmp_path / 'new' / 'a.pth'
    parameter = nn.Parameter(torch.rand(3))
    save_checkpoint(path, {'backbone.weight': parameter}, dict(seed=np.int64(3), classes=('a', 'b'), scale=0.5))
    content = torch.load(path, weights_only=True)
    assert torch.equal(content['state_dict']['backbone.weight'], parameter.detach())
    assert type(content['state_dict']['backbone.weight']) is torch.Tensor
    assert content['meta'] == dict(seed=3, classes=['a', 'b'], scale=0.5, agssp_mm_version=agssp_mm.__version__,
                                   torch_version=torch.__version__, mmengine_version=mmengine.__version__)


def test_a_view_is_written_without_the_rest_of_its_storage(tmp_path):
    whole = torch.zeros(1_000_000)
    save_checkpoint(tmp_path / 'a.pth', dict(part=whole[:10], turned=torch.rand(4, 5).t()))
    assert (tmp_path / 'a.pth').stat().st_size < 10_000
    assert torch.load(tmp_path / 'a.pth', weights_only=True)['state_dict']['turned'].is_contiguous()


def test_the_same_content_gives_the_same_bytes_under_any_name(tmp_path):
    for name in ('a.pth', 'other.pth'):
        save_checkpoint(tmp_path / name, dict(weight=torch.ones(3)), dict(seed=1))
    assert (tmp_path / 'a.pth').read_bytes() == (tmp_path / 'other.pth').read_bytes()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / 'a.pth'
    save_checkpoint(path, dict(weight=torch.ones(3)))
    before = path.read_bytes()

    def die(source, target):
        raise OSError('disk full')

    monkeypatch.setattr(os, 'replace', die)
    with pytest.raises(OSError, match='disk full'):
        save_checkpoint(path, dict(weight=torch.zeros(3)))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize('state, message', [
    ({}, 'no tensors to write'),
    (dict(weight=[1.0]), 'weight is a list; a checkpoint holds tensors only'),
])
def test_what_is_no_state_dict_is_refused(tmp_path, state, message):
    with pytest.raises(ValueError, match=message):
        save_checkpoint(tmp_path / 'a.pth', state)
    assert not list(tmp_path.iterdir())


def test_metadata_become_plain():
    class Text(str):
        pass

    made = plain(dict(a=Text('x'), b=(np.float32(0.5), True, None), c=np.arange(2)))
    assert made == dict(a='x', b=[0.5, True, None], c=[0, 1])
    assert type(made['a']) is str and made['b'][1] is True


@pytest.mark.parametrize('value, message', [({'a': object()}, 'got a object'), ({1: 'a'}, 'string keys')])
def test_other_metadata_are_refused(value, message):
    with pytest.raises(ValueError, match=message):
        plain(value)


def test_mmengine_loads_it_as_pretrained_init(tmp_path):
    class Net(BaseModule):
        def __init__(self, **more):
            super().__init__(**more)
            self.layer = nn.Linear(2, 2)

    source = Net()
    save_checkpoint(tmp_path / 'a.pth', {f'backbone.{name}': value for name, value in source.state_dict().items()})
    target = Net(init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pth'), prefix='backbone.'))
    target.init_weights()
    assert torch.equal(target.layer.weight, source.layer.weight)
