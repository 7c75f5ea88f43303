"""Folded batch norms: the same features from fewer layers, or the network as it was."""
import pytest
import torch
from torch import nn

from agssp_mm.teachers.backbones import FrozenBackbone, check_backbone
from agssp_mm.teachers.folding import fold_batch_norms


def stirred(model):
    """A model whose batch norms do something, as after training."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.2, 3, generator=generator)
    return model.eval()


def run(model, x):
    return [model(x)]


class Crossed(nn.Module):
    """Its norm runs before the convolution that it is listed behind."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)

    def forward(self, x):
        return self.conv(self.norm(x))


@torch.no_grad()
def test_a_folded_network_gives_the_same_without_norms():
    model = stirred(nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
                                  nn.Sequential(nn.Conv2d(8, 4, 3, groups=4), nn.BatchNorm2d(4))))
    folded = fold_batch_norms(model, run, 16)
    x = torch.randn(2, 3, 20, 12)
    assert torch.allclose(folded(x), model(x), atol=1e-4)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert sum(isinstance(module, nn.BatchNorm2d) for module in model.modules()) == 2


@pytest.mark.parametrize('model, outputs', [
    (Crossed(), run),
    (nn.Sequential(nn.Conv2d(3, 8, 3)), run),
    (nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)), lambda model, x: [model[0](x)]),  # what is tapped changes
    (nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 30 * 30, 2)), run),
])
def test_what_cannot_be_folded_stays_as_it_was(model, outputs):
    assert fold_batch_norms(stirred(model), outputs, 16) is model


@torch.no_grad()
@pytest.mark.parametrize('name', ['test_resnet', 'test_efficientnet'])
def test_timms_norms_keep_their_activations(name):
    timm = pytest.importorskip('timm')
    setting, x = check_backbone(dict(library='timm', name=name, weights='random')), torch.randn(1, 3, 64, 64)
    backbone = FrozenBackbone(setting, (1, 2))
    # at most the one behind a stem of several layers is left
    assert sum(isinstance(module, nn.BatchNorm2d) for module in backbone.modules()) <= 1
    model = stirred(timm.create_model(name, num_classes=0))
    folded = fold_batch_norms(model, lambda one, x: one.forward_intermediates(x, intermediates_only=True), 64)
    assert folded is not model
    assert torch.allclose(folded.forward_features(x), model.forward_features(x), atol=1e-3)
