"""The V-V path against a slow reference, and that the tower stays as it is."""
import sys
from pathlib import Path

import pytest
import torch

from agssp_mm.teachers import vv_attention
from agssp_mm.teachers.vv_attention import LevelPlan, check_tower, vv_features

sys.path.insert(0, str(Path(__file__).parent))
from kead_toys import one_thread, reference_tower, toy_config  # noqa: E402, F401

VISION = dict(image_size=32, patch_size=8, width=32, layers=4, heads=4, mlp_ratio=4.0, output_dim=12)


def build_tower(layers=4, image_size=32, **settings):
    from open_clip.transformer import VisionTransformer
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tower = VisionTransformer(**dict(VISION, layers=layers, image_size=image_size, **settings))
    return tower.eval().requires_grad_(False)


def state_of(tower):
    return {f'visual.{name}': tensor.clone() for name, tensor in tower.state_dict().items()}


@pytest.fixture(scope='module')
def images():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize('depth, layers, dpam_layer', [(12, (3, 6, 9, 12), 10), (4, (1, 2, 3, 4), 4), (4, (2, 3), 3),
                                                       (4, (4,), 5), (4, (1, 2), 2)])
@pytest.mark.parametrize('surgery, levels', [('vv_res', 'distinct'), ('vv_res', 'aliased'), ('vv', 'distinct')])
def test_levels_and_embedding_equal_the_slow_reference(images, depth, layers, dpam_layer, surgery, levels):
    tower, plan = build_tower(depth), LevelPlan.of(depth, layers, dpam_layer, surgery, levels)
    output = vv_features(tower, images, plan)
    tokens = output.tokens[list(plan.level_index)]
    for row, image in enumerate(images):
        expected, embedding = reference_tower(state_of(tower), toy_config(depth), image, surgery, levels == 'aliased',
                                              layers, dpam_layer)
        assert tokens.shape[2:] == expected.shape[1:] == (17, 12)
        torch.testing.assert_close(tokens[:, row].double(), expected, atol=2e-5, rtol=1e-5)
        torch.testing.assert_close(output.embedding[row].double(), embedding, atol=2e-5, rtol=1e-5)


def test_the_embedding_is_that_of_the_untouched_tower(images):
    tower = build_tower(12)
    before, plain = state_of(tower), tower(images)
    output = vv_features(tower, images, LevelPlan.of(12, None, None, 'vv_res', 'distinct'))
    torch.testing.assert_close(output.embedding, plain, atol=1e-6, rtol=1e-6)
    assert torch.equal(tower(images), plain)
    assert all(torch.equal(tensor, before[name]) for name, tensor in state_of(tower).items())
    assert not any(module._forward_hooks or module._forward_pre_hooks or 'forward' in vars(module)
                   for module in tower.modules())


def test_the_level_before_the_first_vv_block_is_the_ordinary_stream(images):
    tower = build_tower(12)
    plain = tower.forward_intermediates(images, indices=[2], normalize_intermediates=True, output_fmt='NLC')
    expected = plain['image_intermediates'][0] @ tower.proj
    first = vv_features(tower, images, LevelPlan.of(12, None, None, 'vv_res', 'distinct')).tokens[0, :, 1:]
    assert torch.equal(first, expected)


def test_distinct_levels_differ_and_aliased_ones_are_the_last(images):
    tower = build_tower(12)
    distinct = vv_features(tower, images, LevelPlan.of(12, None, None, 'vv_res', 'distinct')).tokens
    assert len(distinct) == 4 and (distinct[1] - distinct[3]).abs().max() > 0.1
    plan = LevelPlan.of(12, None, None, 'vv_res', 'aliased')
    aliased = vv_features(tower, images, plan).tokens
    assert plan.level_index == (0, 1, 1, 1) and plan.level_weights == (0.25, 0.75)
    assert torch.equal(aliased, distinct[[0, 3]])


def test_large_grids_use_fused_attention_with_the_same_result(images, monkeypatch):
    tower, plan = build_tower(), LevelPlan.of(4, None, None, 'vv_res', 'distinct')
    exact = vv_features(tower, images, plan)
    monkeypatch.setattr(vv_attention, '_EXACT_TOKENS', 16)
    fused = vv_features(tower, images, plan)
    torch.testing.assert_close(fused.tokens, exact.tokens, atol=1e-5, rtol=1e-5)
    assert not torch.equal(fused.tokens, exact.tokens)


def test_layer_scale_and_a_missing_first_norm_are_followed(images):
    tower = build_tower(ls_init_value=0.5, no_ln_pre=True)
    output = vv_features(tower, images, LevelPlan.of(4, None, None, 'vv_res', 'distinct'))
    torch.testing.assert_close(output.embedding, tower(images), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize('depth, layers, dpam_layer, first', [(12, (3, 6, 9, 12), 10, 4), (24, (6, 12, 18, 24), 19, 7),
                                                              (4, (1, 2, 3, 4), 4, 2), (2, (1, 2), 2, 2)])
def test_defaults_are_the_quarters_of_any_depth(depth, layers, dpam_layer, first):
    plan = LevelPlan.of(depth, None, None, 'vv_res', 'distinct')
    assert (plan.layers, plan.dpam_layer, plan.first_vv_block) == (layers, dpam_layer, first)
    assert plan.level_weights == (1 / len(layers),) * len(layers)


@pytest.mark.parametrize('arguments, message', [
    ((12, (3, 13), None, 'vv', 'distinct'), r'rising block numbers in \[1, 12\], got \[3, 13\]'),
    ((12, (6, 3), None, 'vv', 'distinct'), 'rising block numbers'),
    ((12, (), None, 'vv', 'distinct'), 'rising block numbers'),
    ((12, None, 1, 'vv', 'distinct'), r'dpam_layer must lie in \[2, 13\]'),
    ((12, None, 14, 'vv', 'distinct'), r'dpam_layer must lie in \[2, 13\]'),
    ((12, None, None, 'qq', 'distinct'), "surgery must be one of .*'vv_res', 'vv'.* got 'qq'"),
    ((12, None, None, 'vv', 'mean'), "levels must be one of .* got 'mean'"),
    ((12, None, None, 'vv', 'aliased'), "levels='aliased' exists for surgery='vv_res' only"),
])
def test_settings_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        LevelPlan.of(*arguments)


@pytest.mark.parametrize('settings, message', [
    (dict(attentional_pool=True, attn_pooler_heads=2), 'it pools by attention'),
    (dict(pool_type='avg'), "no class token .pooling 'avg'."),
    (dict(qk_norm=True), 'CustomResidualAttentionBlocks with an attention of their own'),
])
def test_other_towers_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=f"vision tower of 'Toy' does not fit: .*{message}.*ViT-B-16-plus-240"):
        check_tower(build_tower(**settings), 'Toy')


def test_what_is_no_vision_transformer_is_refused():
    with pytest.raises(ValueError, match="'Toy' does not fit: it is a Linear"):
        check_tower(torch.nn.Linear(1, 1), 'Toy')
