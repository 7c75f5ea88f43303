from types import SimpleNamespace

import pytest
import torch
from torch import nn

from agssp_mm.engine.norm_eval import NormEvalHook


class Detector(nn.Module):

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.neck = nn.BatchNorm2d(4)
        self.head = nn.Conv2d(4, 1, 1)


def test_statistics_rest_while_weights_are_trained():
    model = Detector()
    runner = SimpleNamespace(model=model)
    hook = NormEvalHook()
    hook.before_train(runner)
    model.train()
    hook.before_train_iter(runner, 0)
    model.neck(model.backbone(torch.rand(2, 3, 8, 8))).sum().backward()
    assert model.backbone[1].running_mean.tolist() == [0.0] * 4 and model.backbone[1].num_batches_tracked == 0
    assert model.neck.running_mean.abs().sum() > 0  # only what was named rests
    assert model.backbone[1].weight.grad is not None and model.backbone[0].training


@pytest.mark.parametrize('name, message', [('spine', "no module 'spine'; it has: backbone, neck, head"),
                                           ('head', 'head has no batch normalisation')])
def test_modules_that_do_not_fit_are_named(name, message):
    with pytest.raises(ValueError, match=message):
        NormEvalHook((name, )).before_train(SimpleNamespace(model=Detector()))
