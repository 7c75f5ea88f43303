import pytest
import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS

from agssp_mm.recipes.schedule import detector_optimizer, short_schedule


def config(optimizer, **wrapper):
    return Config(dict(optim_wrapper=dict(type='AmpOptimWrapper', dtype='float16', optimizer=optimizer, **wrapper),
                       auto_scale_lr=dict(base_batch_size=16)))


@pytest.mark.parametrize('kind, expected', [('SGD', 0.005), ('AdamW', 0.01)])
def test_rates_follow_the_batch(kind, expected):
    wrapper = detector_optimizer(config(dict(type=kind, lr=0.02)), batch_size=4, lr=None)
    assert wrapper == dict(type='OptimWrapper', optimizer=dict(type=kind, lr=expected), clip_grad=dict(max_norm=10.0),
                           paramwise_cfg=dict(bypass_duplicate=True))


def test_a_given_rate_and_the_configs_own_settings_stay():
    custom = dict(custom_keys=dict(backbone=dict(lr_mult=0.1)))
    wrapper = detector_optimizer(config(dict(type='SGD', lr=0.02), clip_grad=dict(max_norm=0.1), paramwise_cfg=custom),
                                 batch_size=4, lr=0.3)
    assert wrapper['optimizer']['lr'] == 0.3
    assert wrapper['clip_grad'] == dict(max_norm=0.1)
    assert wrapper['paramwise_cfg'] == dict(custom, bypass_duplicate=True)


def test_constructors_of_their_own_keep_their_settings():
    wrapper = detector_optimizer(config(dict(type='AdamW', lr=1e-4), constructor='LearningRateDecay',
                                        paramwise_cfg=dict(decay_rate=0.9)), 16, None)
    assert wrapper['paramwise_cfg'] == dict(decay_rate=0.9)


def test_a_config_without_optimizer_or_batch():
    assert detector_optimizer(Config(), 4, None)['optimizer']['type'] == 'AdamW'
    unscaled = Config(dict(optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.02))))
    assert detector_optimizer(unscaled, 4, None)['optimizer']['lr'] == 0.02


@pytest.mark.parametrize('iterations, warm_up', [(None, 50), (5000, 50), (100, 10), (20, 2)])
def test_warm_up_takes_a_tenth_at_most(iterations, warm_up):
    linear, cosine = short_schedule(4, iterations)
    assert (linear['begin'], linear['end'], cosine['T_max']) == (0, warm_up, 4)


@pytest.mark.parametrize('steps', [1, 12, 19, 20, 40])
def test_the_full_rate_is_reached_however_short_the_training(steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedulers = [PARAM_SCHEDULERS.build(one, default_args=dict(optimizer=optimizer, epoch_length=steps))
                  for one in short_schedule(1, steps)]
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    assert max(rates) > 0.95
