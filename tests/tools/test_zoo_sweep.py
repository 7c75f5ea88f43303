"""The sweep over MMDetection's families: its list, what counts as passing, and going on where it was."""
import importlib
import json
import sys
from pathlib import Path

import pytest
import torch
from mmengine.utils import get_installed_path
from torch import nn

from agssp_mm.version import __version__

TOOLS = Path(__file__).parents[2] / 'tools'
STEPS = ('derive', 'AGBP', 'AGDP', 'export', 'original', 'six classes')
PASSED = dict.fromkeys(STEPS, 'yes')


@pytest.fixture(scope='module')
def tools():
    """The modules of the sweep, by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TOOLS / 'zoo'))
        patch.syspath_prepend(str(TOOLS))
        names = dict(sweep='zoo_sweep', one='one_family', families='list_families', report='report')
        yield {key: importlib.import_module(name) for key, name in names.items()}
        for name in (*names.values(), 'language_model', 'zoo', 'zoo.report'):
            sys.modules.pop(name, None)


@pytest.fixture(scope='module')
def listed():
    return json.loads((TOOLS / 'zoo' / 'families.json').read_text())


def test_every_folder_of_configs_is_a_family_or_left_out_with_a_reason(tools, listed):
    root = Path(get_installed_path('mmdet')) / '.mim' / 'configs'
    names = [one['family'] for one in listed['families']]
    assert sorted([*names, *listed['excluded']]) == sorted(path.name for path in root.iterdir() if path.is_dir())
    assert listed['excluded'] == tools['families'].EXCLUDED
    reasons = ('data set', 'tracking', 're-identification', 'parts of configs', 'no boxes')
    assert all(any(reason in one for reason in reasons) for one in listed['excluded'].values())
    for one in listed['families']:
        assert (root / one['config'].removeprefix('mmdet::')).is_file()
        assert one['config'].startswith(f'mmdet::{one["family"]}/')


def test_a_member_is_the_smallest_of_its_family(tools, listed):
    root = Path(get_installed_path('mmdet')) / '.mim' / 'configs' / 'ssd'
    sizes = {path.name: tools['families'].measure(path) for path in sorted(root.glob('*.py'))}
    found = next(one for one in listed['families'] if one['family'] == 'ssd')
    assert min(sizes.values()) == (False, found['parameters']) == sizes[found['config'].split('/')[-1]]


def write_results(path, *results):
    path.write_text('\n'.join(json.dumps(dict(code='new', seconds=1.0, **one)) for one in results) + '\n{"family": "cu')


def test_results_are_taken_up_unless_the_code_has_changed(tools, tmp_path):
    sweep, path = tools['sweep'], tmp_path / 'results.jsonl'
    assert sweep.read_results(path, 'new') == {}
    failed = dict(PASSED, AGDP='ValueError: no')
    write_results(path, dict(family='a', steps=failed), dict(family='a', steps=PASSED), dict(family='b', steps=failed))
    found = sweep.read_results(path, 'new')  # the line that was cut off is passed over
    assert found['a']['steps'] == PASSED
    assert sweep.read_results(path, 'other') == {}
    assert set(sweep.read_results(path, None)) == {'a', 'b'}
    assert [sweep.must_run(found.get(name), None) for name in 'abc'] == [False, False, True]
    assert [sweep.must_run(found.get(name), 'failed') for name in 'abc'] == [False, True, True]
    assert sweep.must_run(found['a'], 'all')


def test_a_family_passes_by_all_steps_only(tools):
    passes = tools['report'].passes
    assert passes(dict(steps=PASSED))
    for step in STEPS:
        assert not passes(dict(steps={name: 'yes' for name in STEPS if name != step}))
        assert not passes(dict(steps=dict(PASSED, **{step: 'ValueError'})))


def test_a_process_that_is_stopped_is_a_failure_with_a_reason(tools, tmp_path):
    one = dict(family='yolox', config='mmdet::yolox/yolox_nano_8xb8-300e_coco.py')
    result = tools['sweep'].run_family(one, tmp_path, tmp_path, seconds=0.2, gibibytes=12)
    assert list(result['steps']) == ['derive']
    assert any(word in result['steps']['derive'] for word in ('killed', 'stopped after 0 s'))
    assert result['status'] == 'stopped after 0 s'
    assert (result['family'], result['code']) == ('yolox', tools['sweep'].fingerprint())
    assert result['commit'] == tools['sweep'].commit() and result['commit'].startswith(__version__)


def test_the_page_names_every_step_and_every_failure(tools):
    families = [dict(family=name, config=f'mmdet::{name}/{name}_tiny.py') for name in 'abc']
    results = dict(
        a={'steps': PASSED, 'backbone': 'ResNet', 'channels': [4, 8], 'original': [9, 10], 'six classes': [8, 10],
           'notes': ['a note'], 'commit': '1.0, commit abc'},
        b=dict(steps=dict(derive='yes', AGBP='ImportError: no package'), commit='1.0, commit def'))
    page = tools['report'].write_report(families, dict(sort='tracking'), results, '3.9')
    assert '**1 of 3 families pass every step (33.3%).** Not run yet: c.' in page
    assert 'The code was agssp_mm 1.0, commit abc; 1.0, commit def.' in page
    assert '| a | a_tiny | ResNet (4, 8) | yes | yes | yes | yes | yes | yes | 9/10 | 8/10 |' in page
    assert '| b | b_tiny | – | yes | **no** | – | – | – | – | – | – |' in page
    assert '- **b**, AGBP: ImportError: no package' in page
    assert '- **a**: a note' in page
    assert '- sort: tracking' in page


class Model(nn.Module):
    def __init__(self, num_classes, **more):
        super().__init__()
        self.neck, self.cls = nn.Linear(2, 2), nn.Linear(2, num_classes)
        for name, module in more.items():
            self.add_module(name, module)


def test_loading_is_checked_bit_by_bit(tools):
    check, exported = tools['one'].check_loaded, Model(1).state_dict()
    dependent = {'cls.weight', 'cls.bias'}
    other = Model(6)
    other.load_state_dict({name: value for name, value in exported.items() if name not in dependent}, strict=False)
    assert check(other, exported, dependent, 'six-class') == [2, 4]
    with pytest.raises(ValueError, match=r"2 of 4 tensors of the six-class model did not arrive, e.g. \['cls.weight'"):
        check(other, exported, set(), 'six-class')
    with torch.no_grad():
        other.neck.weight[0, 0] += 1e-6
    with pytest.raises(ValueError, match=r"1 of 4 .* \['neck.weight'\]"):
        check(other, exported, dependent, 'six-class')
    more = Model(1, seg=nn.Linear(1, 1)).state_dict()
    with pytest.raises(ValueError, match="has none of 2 exported tensors, e.g. .'seg.weight'"):
        check(Model(1), more, dependent, 'original')
    # a second name of a tensor that arrived is no loss
    twice = dict(exported, **{'decoder.neck.weight': exported['neck.weight']})
    assert check(loaded(exported), twice, set(), 'original') == [4, 4]


def loaded(state):
    model = Model(1)
    model.load_state_dict(state)
    return model


def test_stage_2_carries_the_backbone_on_and_trains_it(tools):
    check = tools['one'].check_trained
    backbone = {'backbone.a': torch.zeros(2), 'backbone.b': torch.ones(2)}
    check(backbone, {**backbone, 'backbone.b': torch.zeros(2), 'neck.a': torch.zeros(1)})
    with pytest.raises(ValueError, match='stage 2 left the backbone of stage 1 as it was'):
        check(backbone, backbone)
    for wrong in ({'backbone.a': torch.ones(2)}, {'backbone.a': torch.ones(2), 'backbone.b': torch.ones(3)}):
        with pytest.raises(ValueError, match=r"lost 1 tensors of the backbone of stage 1, e.g. \['backbone.b'\]"):
            check(backbone, wrong)


def test_a_step_counts_if_it_has_losses_and_a_gradient(tools, tmp_path):
    check, log = tools['one'].check_step, tmp_path / '20260101' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    for line, message in [
        ('', 'no step was taken'),
        ('{"bbox_mAP": 0.0, "step": 1}', 'no step was taken'),
        ('{"loss": 1.0, "grad_norm": 0.0}', 'the gradient of the step is 0'),
        ('{"loss": 1.0, "grad_norm": NaN}', 'the gradient of the step is nan'),
        ('{"loss": NaN, "grad_norm": 1.0}', 'the losses of the step are'),
        ('{"agreement": 1.0, "grad_norm": 1.0}', 'the losses of the step are'),
    ]:
        log.write_text(line)
        with pytest.raises(ValueError, match=message):
            check(tmp_path, 'loss')
    log.write_text('{"loss": 1.0, "loss_anomaly_s2": 1.0, "grad_norm": 0.5}\n')
    assert check(tmp_path, 'loss_anomaly') == ['loss', 'loss_anomaly_s2']
    with pytest.raises(ValueError, match='the losses of the step are'):
        check(tmp_path, 'loss_bbox')
