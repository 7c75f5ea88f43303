import logging

import torch
from mmengine.logging import MMLogger

from agssp_mm.recipes.building import build
from agssp_mm.recipes.initial_values import init_what_nothing_sets

TRIDENT = dict(type='TridentResNet', trident_dilations=(1, 2, 3), num_branch=3, test_branch_idx=1, depth=50,
               base_channels=4, num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2, ))


def test_a_backbone_that_leaves_weights_to_chance_gets_an_initialisation():
    init_cfg = init_what_nothing_sets(TRIDENT, 'mmdet')
    assert init_cfg == dict(type='Kaiming', layer=['Conv2d', 'TridentConv'])
    backbone = build(dict(TRIDENT, init_cfg=init_cfg), 'mmdet')
    with torch.no_grad():
        for one in backbone.parameters():
            one.fill_(torch.nan)
        for name, one in backbone.named_parameters():
            if 'bn' in name or 'downsample.1' in name:
                one.fill_(1.0)  # as its constructor does
    backbone.init_weights()
    assert not [name for name, one in backbone.named_parameters() if one.isnan().any()]


def test_others_are_left_as_they_are():
    assert init_what_nothing_sets(dict(type='ResNet', depth=18, base_channels=4), 'mmdet') is None
    assert not torch.are_deterministic_algorithms_enabled()


def test_nothing_is_logged_of_a_model_that_is_thrown_away():
    logger, said = MMLogger.get_current_instance(), []
    handler = logging.Handler()
    handler.emit = said.append
    logger.addHandler(handler)
    level = logger.level
    try:
        init_what_nothing_sets(dict(type='ResNet', depth=18, base_channels=4), 'mmdet')
        assert not said and logger.level == level
        build(dict(type='ResNet', depth=18, base_channels=4), 'mmdet').init_weights()
        assert said, 'MMEngine says nothing of its own accord any more'
    finally:
        logger.removeHandler(handler)
