import pytest

from agssp_mm.doctor.distributions import check_needs, check_openmmlab
from agssp_mm.doctor.finding import NOTE, OK, PROBLEM

MAINTAINED = {'onedl-mmengine': '0.10.12', 'onedl-mmcv': '2.3.6', 'onedl-mmdetection': '3.5.1',
              'onedl-mmpretrain': '1.3.6'}
STEPS = {name: dict(version='1') for name in ('mmengine', 'mmcv', 'mmdet', 'mmpretrain')}
GONE = dict(error='ModuleNotFoundError: no', kind='ModuleNotFoundError')


def judge(module, installed, steps=STEPS):
    return next(finding for finding in check_openmmlab(steps, installed.get) if finding.name == module)


def test_it_says_which_distribution_a_package_comes_from():
    assert judge('mmcv', MAINTAINED).text == 'mmcv 1, from onedl-mmcv 2.3.6'
    assert judge('mmcv', {'mmcv': '2.1.0'}).text == 'mmcv 1, from mmcv 2.1.0'
    assert judge('mmcv', {}).text == 'mmcv 1, from a source tree'


@pytest.mark.parametrize('module, installed, step, status, words, mend', [
    ('mmcv', {**MAINTAINED, 'mmcv': '2.1.0'}, {}, PROBLEM, 'overwrite each other', 'pip uninstall -y onedl-mmcv mmcv'),
    ('mmdet', {'mmdet': '2.28.2'}, {}, PROBLEM, 'mmdet 2.28.2, needed is >=3.0,<4', "pip install 'mmdet>=3.0,<4'"),
    ('mmdet', {}, GONE, PROBLEM, 'not installed', "pip install 'onedl-mmdetection>=3.0,<4'"),
    ('mmpretrain', {}, GONE, NOTE, 'backbones of MMPretrain', "pip install 'onedl-mmpretrain>=1.0,<2'"),
    ('mmdet', MAINTAINED, dict(error='AssertionError: MMCV==2.3.6 is used but incompatible', kind='AssertionError'),
     PROBLEM, 'its import fails: AssertionError: MMCV==2.3.6', "'onedl-mmdetection>=3.0,<4'"),
])
def test_packages_in_trouble(module, installed, step, status, words, mend):
    finding = judge(module, installed, {**STEPS, module: step or STEPS[module]})
    assert finding.status == status
    assert words in finding.text
    assert mend in finding.mend


REQUIRES = ['torch>=2', 'numpy>=1.24', 'timm<2,>=0.9; extra == "demo"', 'matplotlib; extra == "demo"',
            'pytest; extra == "test"', 'tomli; python_version < "3"']


def test_a_missing_requirement_is_a_problem_and_a_missing_extra_a_note():
    hard, demo = check_needs(REQUIRES, {'timm': '0.8', 'matplotlib': '3.9'}.get)
    assert (hard.name, hard.status, hard.mend) == ('requirements', PROBLEM, "pip install 'numpy>=1.24'")
    assert (demo.name, demo.status) == ('extra demo', NOTE)
    assert demo.text.startswith('timm 0.8 (needs ')
    assert demo.mend.startswith("pip install 'timm") and 'matplotlib' not in demo.mend


def test_what_is_there_is_ok():
    versions = {'numpy': '2.2', 'timm': '1.0', 'matplotlib': '3.9'}
    assert [finding.status for finding in check_needs(REQUIRES, versions.get)] == [OK, OK]
