import pytest
import torch

from agssp_mm.teachers.placing import choose_device


def test_the_device_that_is_asked_for():
    assert choose_device('cpu') == torch.device('cpu')
    assert choose_device(None).type == ('cuda' if torch.cuda.is_available() else 'cpu')


@pytest.mark.parametrize('device', ['cuda:99', 'gpu', ''])
def test_no_such_device(device):
    with pytest.raises(ValueError, match=f"device: '{device}' cannot be used here .*; give \"cpu\""):
        choose_device(device)
