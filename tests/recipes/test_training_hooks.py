import pytest

from agssp_mm.recipes.training_hooks import move_hooks, needs_mix_dataset

PLAIN = [dict(type='Pack')]


def test_switches_keep_their_share_of_the_training():
    config = dict(train_cfg=dict(max_epochs=300), custom_hooks=[
        dict(type='PipelineSwitchHook', switch_epoch=280, switch_pipeline=[dict(type='Mosaic')]),
        dict(type='YOLOXModeSwitchHook', num_last_epochs=15)])
    moved = move_hooks(config, epochs=30, iterations=600, plain_pipeline=PLAIN)
    assert moved == [dict(type='PipelineSwitchHook', switch_epoch=28, switch_pipeline=PLAIN),
                     dict(type='YOLOXModeSwitchHook', num_last_epochs=2)]
    assert needs_mix_dataset(moved)
    assert not needs_mix_dataset(moved[:1])


@pytest.mark.parametrize('long, old, short, moved', [
    (280, 300, 6, 5),  # the last epoch is without strong augmentation
    (300, 300, 6, 6), (280, 300, 1, 1), (150, 300, 6, 3), (1, 300, 6, 1)])
def test_a_switch_within_the_training_stays_within(long, old, short, moved):
    config = dict(train_cfg=dict(max_epochs=old), custom_hooks=[dict(type='PipelineSwitchHook', switch_epoch=long)])
    assert move_hooks(config, short, 100, PLAIN)[0]['switch_epoch'] == moved


def test_hooks_of_stage_one_and_of_ours_are_left_out():
    hooks = [dict(type=kind) for kind in ('DistillationPretrainer', 'agssp_mm.SourceClassesHook', 'LoadReportHook',
                                          'AnomalyVisualizationHook', 'SyncNormHook')]
    assert move_hooks(dict(custom_hooks=hooks), 4, 990, PLAIN) == [dict(type='SyncNormHook')]


def test_the_plain_mean_of_all_steps_keeps_its_settings():
    hook = dict(type='EMAHook', ema_type='StochasticWeightAverage')
    moved, = move_hooks(dict(custom_hooks=[hook]), 4, 990, PLAIN)
    assert moved == dict(hook, begin_iter=0)


def test_averages_look_back_over_a_tenth_of_the_steps():
    hooks = [dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=0.0002, update_buffers=True),
             dict(type='EMAHook', momentum=0.0002)]
    exponential, plain = move_hooks(dict(custom_hooks=hooks), 4, 990, PLAIN)
    assert exponential == dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=0.01, update_buffers=True,
                               begin_iter=0, gamma=99)
    assert plain['momentum'] == 0.01
    # a long training keeps its own
    assert move_hooks(dict(custom_hooks=hooks), 4, 10**6, PLAIN)[0]['gamma'] == 2000
    assert move_hooks(dict(custom_hooks=hooks), 4, None, PLAIN) == hooks


def test_what_is_left_out():
    config = dict(train_cfg=dict(type='IterBasedTrainLoop', max_iters=9000), custom_hooks=[
        dict(type='MeanTeacherHook'), dict(type='NumClassCheckHook'), dict(type='PipelineSwitchHook', switch_epoch=3),
        dict(type='SyncNormHook')])
    assert move_hooks(config, 4, 100, PLAIN) == [dict(type='SyncNormHook')]
    assert move_hooks({}, 4, 100, PLAIN) == []
