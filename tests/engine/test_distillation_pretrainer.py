import logging

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from torch import nn

from agssp_mm.engine.distillation_pretrainer import DistillationPretrainer
from agssp_mm.models.activation import activation_map, agreement, resize_map
from agssp_mm.models.losses import cosine_map_loss, normalized_l2_map_loss


@MODELS.register_module()
class ToyTask(BaseModel):
    """The toy backbone with a loss of its own, under any name; `calls` is how often it runs the backbone."""

    def __init__(self, loss_name='loss', calls=1, fail=False):
        super().__init__(data_preprocessor=dict(type='BaseDataPreprocessor'))
        self.backbone = MODELS.build(dict(type='ToyBackbone'))
        self.head = nn.Linear(4, 1)
        self.loss_name, self.calls, self.fail = loss_name, calls, fail
        self.seen = []

    def extract_feat(self, inputs):
        return self.backbone(inputs)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        if mode != 'loss':
            return data_samples if mode == 'predict' else self.extract_feat(inputs)
        self.seen += [sorted(sample.keys()) for sample in data_samples]
        # Inputs are shifted, so that the calls differ from each other and from `extract_feat(inputs)`.
        levels = [self.extract_feat(inputs + call + 1) for call in range(self.calls)]
        if self.fail:
            raise RuntimeError('the head broke')
        return {self.loss_name: self.head(levels[0][-1].mean((2, 3))).square().mean()}


class Record(Hook):
    """Keeps what each iteration logged, and how many forward hooks there were around it."""

    priority = 'LOWEST'

    def __init__(self, count_hooks, fail_at=None):
        self.count_hooks, self.fail_at = count_hooks, fail_at
        self.outputs, self.hooks_after = [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.outputs.append({name: value.item() for name, value in outputs.items()})
        self.hooks_after.append(self.count_hooks(runner.model))
        if runner.iter == self.fail_at:
            raise RuntimeError('another hook broke')


def reference(backbone, images, maps, level, loss=cosine_map_loss):
    """Loss and agreement of one level, put together from the pure functions."""
    activation = activation_map(backbone(images)[level])
    anomaly, valid = resize_map(maps[:, None], tuple(activation.shape[-2:]))
    return loss(activation, anomaly, valid), agreement(activation, anomaly, valid).nanmean()


def initial(runner):
    """The backbone before training."""
    return MODELS.build(dict(type='ToyBackbone')), runner.model.backbone.state_dict()


def test_first_iteration_logs_the_paper_s_loss_and_the_agreement_per_level(make_runner, toys):
    record = Record(toys.count_hooks)
    runner = make_runner(hooks=[dict(type='DistillationPretrainer'), record], epochs=1)
    backbone, data = MODELS.build(dict(type='ToyBackbone')), toys.Maps()
    backbone.load_state_dict(runner.model.backbone.state_dict())
    runner.train()
    first = record.outputs[0]
    assert set(first) == {'loss', 'loss_anomaly_s1', 'agreement_s1', 'loss_anomaly_s2', 'agreement_s2'}
    total = 0
    for level in (1, 2):
        loss, correlation = reference(backbone, data.images[:4], data.maps[:4], level)
        assert first[f'loss_anomaly_s{level}'] == pytest.approx(loss.item(), abs=1e-5)
        assert first[f'agreement_s{level}'] == pytest.approx(correlation.item(), abs=1e-5)
        total += loss.item()
    assert first['loss'] == pytest.approx(total, abs=1e-5)


def test_one_step_moves_the_weights_by_the_gradient_of_the_sum(make_runner, toys):
    runner = make_runner(hooks=[dict(type='DistillationPretrainer', levels=(0, -1), weight=0.5)], epochs=1,
                         loader=toys.loader(toys.Maps(4)))
    backbone, data = MODELS.build(dict(type='ToyBackbone')), toys.Maps(4)
    backbone.load_state_dict(runner.model.backbone.state_dict())
    runner.train()
    sum(0.5 * reference(backbone, data.images, data.maps, level)[0] for level in (0, 2)).backward()
    for before, after in zip(backbone.parameters(), runner.model.backbone.parameters()):
        assert torch.allclose(after, before - 0.1 * before.grad, atol=1e-7) and before.grad.abs().max() > 1e-4


def test_a_task_s_own_loss_is_kept_and_the_total_is_logged_as_loss(make_runner, toys):
    record = Record(toys.count_hooks)
    runner = make_runner(dict(type='ToyTask'), [dict(type='DistillationPretrainer', levels=(-1,)), record], epochs=1)
    runner.train()
    first = record.outputs[0]
    assert set(first) == {'loss', 'loss_task', 'loss_anomaly_s2', 'agreement_s2'}
    assert first['loss'] == pytest.approx(first['loss_task'] + first['loss_anomaly_s2'])
    assert first['loss_task'] > 0 and first['loss_anomaly_s2'] > 0


def test_the_model_never_sees_the_maps(make_runner):
    runner = make_runner(dict(type='ToyTask', loss_name='loss_cls'), epochs=1)
    runner.train()
    assert runner.model.seen == [[]] * 8


def test_the_loss_is_built_from_its_config(make_runner, toys):
    record = Record(toys.count_hooks)
    loss = dict(type='NormalizedL2MapLoss', weight=2.0)
    runner = make_runner(hooks=[dict(type='DistillationPretrainer', levels=(1,), loss=loss), record], epochs=1)
    backbone, data = MODELS.build(dict(type='ToyBackbone')), toys.Maps()
    backbone.load_state_dict(runner.model.backbone.state_dict())
    runner.train()
    wanted = 2 * reference(backbone, data.images[:4], data.maps[:4], 1, normalized_l2_map_loss)[0]
    assert record.outputs[0]['loss_anomaly_s1'] == pytest.approx(wanted.item(), abs=1e-5)


def test_a_pair_of_weights_changes_linearly_over_the_training(make_runner, toys):
    record = Record(toys.count_hooks)
    hook = dict(type='DistillationPretrainer', levels=(-1,), weight=(1.0, 0.25))
    runner = make_runner(hooks=[hook, record], epochs=4, lr=0.0, loader=toys.loader(toys.Maps(4)))
    runner.train()
    losses = [one['loss_anomaly_s2'] for one in record.outputs]
    assert [one / losses[0] for one in losses] == pytest.approx([1, 0.75, 0.5, 0.25])


def test_no_hook_is_left_after_an_iteration_or_a_training(make_runner, toys):
    record = Record(toys.count_hooks)
    runner = make_runner(hooks=[dict(type='DistillationPretrainer'), record])
    runner.train()
    assert record.hooks_after == [0, 0, 0, 0] and toys.count_hooks(runner.model) == 0


class BrokenMaps:
    """Breaks while a batch is loaded."""

    metainfo = {}

    def __len__(self):
        return 4

    def __getitem__(self, index):
        raise RuntimeError('the data broke')


def broken_model(runner):
    runner.model.fail = True


def broken_preprocessing(runner):
    runner.model.data_preprocessor.forward = lambda *_: (_ for _ in ()).throw(RuntimeError('preprocessing broke'))


def broken_optimizer(runner):
    def fail(*_, **__):
        raise RuntimeError('the optimizer broke')
    runner.optim_wrapper['optimizer'] = torch.optim.SGD(runner.model.parameters(), lr=0.1)
    runner.optim_wrapper['optimizer'].step = fail


@pytest.mark.parametrize('break_it, message', [
    (broken_model, 'the head broke'),
    (broken_preprocessing, 'preprocessing broke'),
    (broken_optimizer, 'the optimizer broke'),
])
def test_no_hook_is_left_when_training_dies(make_runner, toys, break_it, message):
    runner = make_runner(dict(type='ToyTask'))
    break_it(runner)
    with pytest.raises(RuntimeError, match=message):
        runner.train()
    assert toys.count_hooks(runner.model) == 0


def test_no_hook_is_left_when_data_other_hooks_or_the_loss_itself_fail(make_runner, toys):
    for more, error in ((dict(loader=toys.loader(BrokenMaps())), RuntimeError),
                        (dict(loader=toys.loader(toys.Maps(has_map=False))), ValueError),
                        (dict(hooks=[dict(type='DistillationPretrainer'), Record(toys.count_hooks, 1)]), RuntimeError)):
        runner = make_runner(dict(type='ToyTask'), **more)
        with pytest.raises(error):
            runner.train()
        assert toys.count_hooks(runner.model) == 0


def test_validation_does_not_see_the_hook(make_runner, toys):
    record = Record(toys.count_hooks)

    class CountInVal(Hook):
        counts = []

        def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            self.counts.append((toys.count_hooks(runner.model), [sorted(sample.keys()) for sample in outputs]))

    runner = make_runner(dict(type='ToyTask'), [dict(type='DistillationPretrainer'), record, CountInVal()],
                         val_dataloader=toys.loader(toys.Maps(2)), val_cfg=dict(), val_evaluator=[])
    runner.train()
    assert CountInVal.counts == [(0, [['gt_seg_map'], ['gt_seg_map']])] * 2


def test_agreement_on_held_out_images_rises(make_runner, toys):
    held_out = dict(val_dataloader=toys.loader(toys.Maps(16, seed=1)), val_cfg=dict(),
                    val_evaluator=dict(type='MapAgreement'))
    adam = dict(optimizer=dict(type='Adam', lr=0.02))
    runner = make_runner(loader=toys.loader(toys.Maps(16)), epochs=15, optim_wrapper=adam, **held_out)
    before = make_runner(**held_out).val()
    runner.train()
    after = runner.val_loop.run()
    assert set(before) == {'agreement/s0', 'agreement/s1', 'agreement/s2'}
    for level in ('agreement/s1', 'agreement/s2'):
        assert after[level] > before[level] + 0.2 and after[level] > 0.7


def test_several_calls_of_the_backbone_need_a_view(make_runner, toys):
    runner = make_runner(dict(type='ToyTask', calls=2))
    with pytest.raises(ValueError, match='called its backbone 2 times in one forward; set `view`.*0 to 1'):
        runner.train()


def test_a_view_that_does_not_exist_is_refused(make_runner):
    runner = make_runner(dict(type='ToyTask', calls=2), [dict(type='DistillationPretrainer', view=2)])
    with pytest.raises(ValueError, match='view 2 does not exist: the model called its backbone 2'):
        runner.train()


@pytest.mark.parametrize('view, shift', [(0, 1), (1, 2)])
def test_the_view_picks_the_call(make_runner, toys, view, shift):
    record = Record(toys.count_hooks)
    runner = make_runner(dict(type='ToyTask', calls=2),
                         [dict(type='DistillationPretrainer', levels=(1,), view=view), record], epochs=1)
    backbone, data = MODELS.build(dict(type='ToyBackbone')), toys.Maps()
    backbone.load_state_dict(runner.model.backbone.state_dict())
    runner.train()
    wanted = reference(backbone, data.images[:4] + shift, data.maps[:4], 1)[0].item()
    assert record.outputs[0]['loss_anomaly_s1'] == pytest.approx(wanted, abs=1e-5)


def test_clean_forward_distils_what_extract_feat_gives(make_runner, toys):
    record = Record(toys.count_hooks)
    runner = make_runner(dict(type='ToyTask'),
                         [dict(type='DistillationPretrainer', levels=(1,), clean_forward=True), record], epochs=1)
    backbone, data = MODELS.build(dict(type='ToyBackbone')), toys.Maps()
    backbone.load_state_dict(runner.model.backbone.state_dict())
    runner.train()
    wanted = reference(backbone, data.images[:4], data.maps[:4], 1)[0].item()
    assert record.outputs[0]['loss_anomaly_s1'] == pytest.approx(wanted, abs=1e-5)
    assert record.hooks_after == [0, 0]


@pytest.mark.parametrize('settings, message', [
    (dict(levels=()), 'levels must be one or more level numbers'),
    (dict(levels=2), 'levels must be one or more level numbers such as .*got 2'),
    (dict(levels=('s2',)), "got \\('s2',\\)"),
    (dict(weight=0), 'weight must be a number > 0'),
    (dict(weight=(1, 2, 3)), 'or a pair'),
    (dict(weight='high'), "got 'high'"),
    (dict(view=0, clean_forward=True), 'set only one of them'),
])
def test_bad_settings_are_refused_at_once(settings, message):
    with pytest.raises(ValueError, match=message):
        DistillationPretrainer(**settings)


class NeverLoaded:
    """Proves that an error came before the first batch."""

    metainfo = {}

    def __len__(self):
        return 4

    def __getitem__(self, index):
        raise AssertionError('data was loaded')


def test_a_model_without_backbone_is_refused_before_any_data(make_runner, toys):
    class Bare(BaseModel):
        def __init__(self):
            super().__init__()
            self.trunk = nn.Linear(1, 1)

        def forward(self, inputs, data_samples=None, mode='tensor'):
            raise AssertionError('was run')

    with pytest.raises(ValueError, match='needs a model with a `.backbone`; Bare has none.*data_preprocessor, trunk'):
        make_runner(Bare(), loader=toys.loader(NeverLoaded())).train()


def test_a_pipeline_that_leaves_maps_behind_is_refused_before_any_data(make_runner, toys):
    runner = make_runner(loader=toys.loader(NeverLoaded()))
    runner.cfg.train_dataloader = dict(dataset=dict(pipeline=[
        dict(type='AnomalyMapGenerator'), dict(type='mmdet.Mosaic')]))
    with pytest.raises(ValueError, match='the pipeline has Mosaic, which would move the images'):
        runner.train()


def test_a_level_the_backbone_does_not_have_is_refused_before_any_data(make_runner, toys):
    runner = make_runner(hooks=[dict(type='DistillationPretrainer', levels=(3,))], loader=toys.loader(NeverLoaded()))
    with pytest.raises(ValueError, match='level 3 does not exist: ToyBackbone returns 3'):
        runner.train()


def test_a_level_is_refused_at_the_first_forward_where_the_backbone_does_not_say(make_runner):
    runner = make_runner(hooks=[dict(type='DistillationPretrainer', levels=(3,))])
    runner.model.backbone.out_indices = None
    with pytest.raises(ValueError, match='level 3 does not exist: ToyBackbone returns 3'):
        runner.train()


def test_a_batch_without_maps_is_refused(make_runner, toys):
    runner = make_runner(loader=toys.loader(toys.Maps(has_map=False)))
    with pytest.raises(ValueError, match='sample 0 of the batch carries no anomaly map'):
        runner.train()


def test_a_map_of_another_size_than_the_image_is_refused(make_runner, toys):
    data = toys.Maps()
    data.maps = data.maps[:, :16]
    with pytest.raises(ValueError, match='map of sample 0 is 16x32, but the network input is 32x32'):
        make_runner(loader=toys.loader(data)).train()


def test_frozen_features_are_refused(make_runner):
    runner = make_runner(hooks=[dict(type='DistillationPretrainer', levels=(0, 2))])
    runner.model.backbone.stages[0].requires_grad_(False)
    with pytest.raises(ValueError, match=r'level\(s\) \[0\] of ToyBackbone need no gradient.*Unfreeze'):
        runner.train()


def test_a_loss_that_is_not_finite_stops_the_run(make_runner):
    runner = make_runner()
    runner.model.backbone.stages[2].weight.data.fill_(torch.nan)
    before = runner.model.backbone.stages[0].weight.clone()
    with pytest.raises(ValueError, match='loss_anomaly_s2 is not finite'):
        runner.train()
    assert torch.equal(runner.model.backbone.stages[0].weight, before)


def test_padding_has_no_say(make_runner, toys):
    """Whatever a map holds where there is no image, the step is the same."""
    results = []
    for padding in (255.0, torch.nan, -1.0):
        data = toys.Maps(4)
        data.maps[:, 16:] = padding
        runner = make_runner(loader=toys.loader(data), epochs=1)
        runner.train()
        results.append(runner.model.backbone.stages[0].weight)
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


def test_maps_that_are_no_image_at_all_are_warned_of_once(make_runner, toys):
    data = toys.Maps()
    data.maps = data.maps * 10 + 2
    runner = make_runner(loader=toys.loader(data))
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    runner.logger.addHandler(handler)
    before = runner.model.backbone.stages[0].weight.clone()
    runner.train()
    assert len([line for line in lines if 'are the maps calibrated?' in line]) == 1
    assert torch.equal(runner.model.backbone.stages[0].weight, before)


def test_two_trainings_are_identical(make_runner):
    first, second = make_runner(), make_runner()
    first.train()
    second.train()
    for one, other in zip(first.model.parameters(), second.model.parameters()):
        assert torch.equal(one, other)
