import numpy as np
import pytest
import torch
from mmengine.registry import MODELS
from mmengine.structures import PixelData

BACKBONE = dict(type='mmdet.ResNet', depth=18, base_channels=4, norm_eval=False)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MODELS.build(dict(type='BackbonePretrainer', backbone=BACKBONE)).eval()


def sample(one):
    from mmdet.structures import DetDataSample
    made = DetDataSample(metainfo=dict(img_shape=tuple(one.shape)))
    made.gt_sem_seg = PixelData(sem_seg=one[None])
    return made


def test_only_the_backbone_has_weights_under_a_detectors_names(model):
    assert all(name.startswith('backbone.') for name in model.state_dict())


def test_preprocessing_pads_maps_as_no_image_unless_told_otherwise(model):
    assert model.data_preprocessor.pad_seg and model.data_preprocessor.seg_pad_value == 255
    plain = MODELS.build(dict(type='BackbonePretrainer', backbone=BACKBONE, data_preprocessor=dict(pad_seg=False)))
    assert not plain.data_preprocessor.pad_seg
    from mmdet.models import DetDataPreprocessor
    by_class = MODELS.build(dict(type='BackbonePretrainer', backbone=BACKBONE,
                                 data_preprocessor=dict(type=DetDataPreprocessor)))
    assert by_class.data_preprocessor.pad_seg
    other = MODELS.build(dict(type='BackbonePretrainer', backbone=BACKBONE,
                              data_preprocessor=dict(type='mmpretrain.SelfSupDataPreprocessor')))
    assert type(other.data_preprocessor).__name__ == 'SelfSupDataPreprocessor'


def test_tensor_mode_returns_the_levels(model):
    inputs = torch.rand(1, 3, 32, 32)
    levels = model(inputs)
    assert [tuple(level.shape) for level in levels] == [(1, 4, 8, 8), (1, 8, 4, 4), (1, 16, 2, 2), (1, 32, 1, 1)]
    assert torch.equal(levels[1], model.backbone(inputs)[1])


def test_without_the_hook_the_missing_loss_is_explained(model):
    losses = model(torch.rand(1, 3, 32, 32), mode='loss')
    assert losses == {}
    with pytest.raises(ValueError, match='no loss of its own: add dict.*DistillationPretrainer'):
        model.parse_losses(losses)


def test_an_unknown_mode_is_refused(model):
    with pytest.raises(ValueError, match="got 'feature'"):
        model(torch.rand(1, 3, 32, 32), mode='feature')


def test_prediction_correlates_every_level_over_the_image_without_padding(model):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.rand(2, 3, 64, 64, generator=generator)
    first, second = torch.rand(64, 48, generator=generator), torch.full((64, 64), 0.5)
    samples = model(inputs, [sample(first), sample(second)], mode='predict')
    energy = model.backbone(inputs)[1].square().sum(1)[0].detach().numpy()
    cells = first.view(8, 8, 6, 8).mean((1, 3)).numpy()
    wanted = np.corrcoef(energy[:, :6].ravel(), cells.ravel())[0, 1]
    assert samples[0].anomaly_agreement.shape == (4,)
    assert samples[0].anomaly_agreement[1].item() == pytest.approx(wanted, abs=1e-4)
    assert samples[1].anomaly_agreement.isnan().all()


def test_prediction_refuses_a_map_that_does_not_fit_its_image(model):
    wrong = sample(torch.rand(32, 32))
    wrong.set_metainfo(dict(img_shape=(48, 48)))
    with pytest.raises(ValueError, match='map of sample 0 is 32x32, but the network input is 64x64'):
        model(torch.rand(1, 3, 64, 64), [wrong], mode='predict')
