"""Loading toy CLIP models, and refusing what does not fit."""
import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from PIL import Image

from agssp_mm.teachers.kead_loading import load_clip

sys.path.insert(0, str(Path(__file__).parent))
from kead_toys import one_thread, toy_config, toy_images, write_clip  # noqa: E402, F401


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp('clip'), layers=2)


@pytest.fixture(scope='module')
def clip(toy):
    return load_clip(**toy)


def test_weights_arrive_and_stand_still(toy, clip):
    state = torch.load(toy['pretrained'], weights_only=True)
    assert all(torch.equal(tensor, state[name]) for name, tensor in clip.model.state_dict().items())
    assert not clip.model.training and not any(part.requires_grad for part in clip.model.parameters())
    assert (clip.image_size, clip.grid_size, clip.depth, clip.context_length) == (32, (4, 4), 2, 77)


def test_loading_leaves_the_global_seed_alone(toy):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    load_clip(**toy)
    assert torch.equal(torch.rand(2), expected)


def test_safetensors_and_half_precision_files_load_as_float32(toy, clip, tmp_path):
    from safetensors.torch import save_file
    half = {name: tensor.half() for name, tensor in clip.model.state_dict().items()}
    save_file(half, tmp_path / 'weights.safetensors')
    loaded = load_clip(toy['model'], str(tmp_path / 'weights.safetensors')).model.state_dict()
    assert all(tensor.dtype == torch.float32 and torch.equal(tensor, half[name].float())
               for name, tensor in loaded.items())


def test_digest_goes_by_weights_and_size(toy, clip, tmp_path):
    assert load_clip(**toy).digest == clip.digest
    assert load_clip(**write_clip(tmp_path / 'a', seed=1, layers=2)).digest != clip.digest
    assert load_clip(**toy, image_size=64).digest != clip.digest


def test_larger_inputs_interpolate_the_position_embedding(toy, clip):
    large = load_clip(**toy, image_size=64)
    assert large.grid_size == (8, 8)
    old = clip.model.visual.positional_embedding
    grid = torch.nn.functional.interpolate(old[1:].view(1, 4, 4, 32).permute(0, 3, 1, 2), size=(8, 8), mode='bicubic',
                                           antialias=True).permute(0, 2, 3, 1).view(64, 32)
    torch.testing.assert_close(large.model.visual.positional_embedding, torch.cat([old[:1], grid]))


def test_images_are_squashed_and_normalised_as_open_clip_does(clip):
    from torchvision.transforms import functional as tv
    images = toy_images(2, (20, 90))
    batch = clip.preprocess(images)
    for row, image in enumerate(images):
        rgb = Image.fromarray(np.ascontiguousarray(image[..., ::-1]))
        resized = tv.resize(rgb, (32, 32), tv.InterpolationMode.BICUBIC)
        expected = tv.normalize(tv.to_tensor(resized), (0.48145466, 0.4578275, 0.40821073),
                                (0.26862954, 0.26130258, 0.27577711))
        assert torch.equal(batch[row], expected)


def test_prompts_are_averaged_as_unit_vectors_and_doubles_count_twice(clip):
    prompts = ['a rail.', 'a pipe with a dent.', 'a rail.']
    each = torch.nn.functional.normalize(clip.model.encode_text(clip.tokenizer(prompts)), dim=-1)
    expected = torch.nn.functional.normalize(each.mean(0), dim=-1)
    torch.testing.assert_close(clip.encode_prompts(prompts), expected)
    assert clip.prompt_length('a rail.') == 5 == int((clip.tokenizer(['a rail.']) > 0).sum())


@pytest.mark.parametrize('model, pretrained, message', [
    ('ViT-B-16-plus', 'laion400m_e32', "unknown weights 'laion400m_e32' for 'ViT-B-16-plus'; give the path"),
    ('ViT-B-16-plus-240', 'laion5b', r"unknown weights 'laion5b' for .* or one of the tags \['laion400m_e31'"),
    ('ViT-B-16-plus-241', 'laion400m_e32', 'unknown open_clip model .* did you mean one of .*ViT-B-16-plus-240'),
    ('RN50', 'openai', "vision tower of 'RN50' does not fit: it is a ResNet"),
    ('convnext_base', 'laion400m_s13b_b51k', "'convnext_base' does not fit: it is the timm model 'convnext_base'"),
    ('ViT-B-16-SigLIP', 'webli', 'it is the timm model'),
])
def test_unknown_models_tags_and_towers_are_refused_before_any_download(model, pretrained, message):
    with pytest.raises(ValueError, match=message):
        load_clip(model, pretrained)


@pytest.mark.parametrize('vision, message', [(dict(attentional_pool=True, attn_pooler_heads=2), 'pools by attention'),
                                             (dict(pool_type='avg'), 'no class token')])
def test_towers_of_another_kind_are_refused_by_name(tmp_path, toy, vision, message):
    path = tmp_path / 'other.json'
    path.write_text(json.dumps(toy_config(2, **vision)))
    with pytest.raises(ValueError, match=f'vision tower of .*other.json.* does not fit: .*{message}'):
        load_clip(str(path), toy['pretrained'])


@pytest.mark.parametrize('content, message', [('{', 'is not a JSON object'), ('3', 'is not a JSON object'),
                                              ('{"embed_dim": 8}', "lacks .'text_cfg', 'vision_cfg'"),
                                              (json.dumps(dict(toy_config(2), depth=3)), 'open_clip cannot build'),
                                              (json.dumps(dict(toy_config(2), text_cfg=dict(hf_tokenizer_name='x'))),
                                               'has hf_tokenizer_name: texts of that kind need a tokenizer')])
def test_bad_model_configs_are_refused(tmp_path, toy, content, message):
    (tmp_path / 'bad.json').write_text(content)
    with pytest.raises(ValueError, match=message):
        load_clip(str(tmp_path / 'bad.json'), toy['pretrained'])


def test_missing_files_are_named(toy, tmp_path):
    with pytest.raises(FileNotFoundError, match='model config .*none.json does not exist'):
        load_clip(str(tmp_path / 'none.json'), toy['pretrained'])
    for pretrained in ('none.pt', 'some/where'):
        with pytest.raises(FileNotFoundError, match=f'weights file {pretrained} does not exist'):
            load_clip('ViT-B-16-plus-240', pretrained)


def test_weights_that_do_not_fit_are_refused(toy, tmp_path):
    other = write_clip(tmp_path / 'other', layers=3)
    with pytest.raises(ValueError, match=r'weights.pt do not fit the model .*Unexpected key.*resblocks\.2') as caught:
        load_clip(toy['model'], other['pretrained'])
    assert len(str(caught.value)) < 800
    with pytest.raises(ValueError, match='text_pos_width.pt do not fit the model .*pos_embed'):
        state = torch.load(toy['pretrained'], weights_only=True)
        torch.save(dict(state, positional_embedding=torch.zeros(77, 3)), tmp_path / 'text_pos_width.pt')
        load_clip(toy['model'], str(tmp_path / 'text_pos_width.pt'))
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), tmp_path / 'script.pt')
    with pytest.raises(ValueError, match='script.pt is a TorchScript archive.* save the state_dict'):
        load_clip(toy['model'], str(tmp_path / 'script.pt'))
    (tmp_path / 'empty.pt').write_bytes(b'')
    with pytest.raises(ValueError, match='empty.pt do not fit'):
        load_clip(toy['model'], str(tmp_path / 'empty.pt'))


def test_nothing_is_unpickled(toy, tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / 'owned',))

    with open(tmp_path / 'evil.pt', 'wb') as file:
        pickle.dump(Evil(), file)
    with pytest.raises(ValueError, match='evil.pt do not fit'):
        load_clip(toy['model'], str(tmp_path / 'evil.pt'))
    assert not (tmp_path / 'owned').exists()


@pytest.fixture
def known_toy(toy, monkeypatch):
    """The toy as a model that open_clip knows by name, with two tags: one was trained with other settings."""
    import open_clip
    tags = dict(usual=dict(url='x'), other=dict(url='y', quick_gelu=True, mean=[0.5] * 3, std=[0.25] * 3))
    config = json.loads(Path(toy['model']).read_text())
    monkeypatch.setattr(open_clip, 'get_model_config', lambda name: json.loads(json.dumps(config)))
    monkeypatch.setattr(open_clip, 'get_tokenizer', lambda name: open_clip.SimpleTokenizer(context_length=77))
    monkeypatch.setattr(open_clip, 'list_pretrained_tags_by_model', lambda name: list(tags))
    monkeypatch.setattr(open_clip, 'get_pretrained_cfg', lambda name, tag: tags.get(tag, {}))
    return toy['pretrained']


def test_a_file_of_weights_with_its_tag_has_what_the_tag_says(known_toy):
    usual, other = (load_clip('toy', tag, weights=known_toy) for tag in ('usual', 'other'))
    assert (other.mean, other.std) == ((0.5, ) * 3, (0.25, ) * 3) and usual.mean != other.mean
    assert type(other.model.visual.transformer.resblocks[0].mlp.gelu).__name__ == 'QuickGELU'
    assert type(usual.model.visual.transformer.resblocks[0].mlp.gelu).__name__ == 'GELU'
    with pytest.raises(ValueError, match="is no tag of 'toy'; give the tag, or the file alone as pretrained"):
        load_clip('toy', known_toy, weights=known_toy)
    with pytest.raises(FileNotFoundError, match='weights file gone.pt does not exist'):
        load_clip('toy', 'usual', weights='gone.pt')


def test_a_file_of_weights_without_its_tag_warns_where_the_tags_differ(known_toy, caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        load_clip('toy', known_toy)
    finally:
        logger.removeHandler(caplog.handler)
    assert 'weights of toy differ in activation or normalisation' in caplog.text
    assert 'give pretrained=TAG and weights=FILE' in caplog.text


@pytest.mark.parametrize('image_size', [30, 0, '64'])
def test_image_sizes_must_be_whole_patches(toy, image_size):
    with pytest.raises(ValueError, match='image_size must be a multiple of the patch size 8'):
        load_clip(**toy, image_size=image_size)


def test_weights_of_a_tag_that_cannot_be_had_say_what_to_do(monkeypatch):
    import open_clip

    def no_network(*_, **__):
        raise OSError('no route to host')

    monkeypatch.setattr(open_clip, 'download_pretrained', no_network)
    monkeypatch.setattr('agssp_mm.teachers.kead_loading.build_model', lambda config, model: None)
    with pytest.raises(FileNotFoundError, match="'laion400m_e32' of 'ViT-B-16-plus-240' are neither .* no "
                                                'route to host.* give their path as weights'):
        load_clip('ViT-B-16-plus-240', 'laion400m_e32')


@pytest.mark.parametrize('model, tag, from_hub', [('ViT-B-16-plus-240', 'laion400m_e32', False),
                                                  ('ViT-B-16', 'laion400m_e32', True)])
def test_a_tag_that_shares_its_repository_comes_from_its_release_file(monkeypatch, toy, model, tag, from_hub):
    import open_clip
    asked = {}

    def download(config, prefer_hf_hub=True):
        asked.update(config, prefer_hf_hub=prefer_hf_hub)
        raise OSError('no network')

    monkeypatch.setattr(open_clip, 'download_pretrained', download)
    monkeypatch.setattr('agssp_mm.teachers.kead_loading.build_model', lambda config, model: None)
    with pytest.raises(FileNotFoundError):
        load_clip(model, tag)
    assert asked['prefer_hf_hub'] is from_hub and 'e32' in asked['url' if not from_hub else 'hf_hub']
