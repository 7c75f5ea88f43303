import pytest

from agssp_mm._dependencies import check_dependencies

MAINTAINED = {'torch': '2.11.0+cu130', 'onedl-mmengine': '0.10.12', 'onedl-mmcv': '2.3.6',
              'onedl-mmdetection': '3.5.1', 'onedl-mmpretrain': '1.3.6'}
ORIGINAL = {'torch': '2.5.0', 'mmengine': '0.10.7', 'mmcv': '2.1.0', 'mmdet': '3.3.0', 'mmpretrain': '1.2.0'}


@pytest.mark.parametrize('installed', [
    MAINTAINED,
    ORIGINAL,
    {**ORIGINAL, 'mmcv': None, 'mmcv-lite': '2.1.0'},
    {**MAINTAINED, 'onedl-mmengine': '0.10.8rc1'},
    {**MAINTAINED, 'onedl-mmdetection': None, 'onedl-mmpretrain': None},
])
def test_fitting_environments_pass(installed):
    check_dependencies(installed.get)


@pytest.mark.parametrize('base, distribution, version, allowed', [
    (ORIGINAL, 'torch', '2.4.1', '>=2.5'),
    (ORIGINAL, 'mmengine', '0.9.1', '>=0.10,<1'),
    (ORIGINAL, 'mmcv', '1.7.2', '>=2.0,<3'),
    (ORIGINAL, 'mmdet', '2.28.2', '>=3.0,<4'),
    (ORIGINAL, 'mmpretrain', '2.0.0', '>=1.0,<2'),
    (MAINTAINED, 'onedl-mmengine', '1.0.0', '>=0.10,<1'),
    (MAINTAINED, 'onedl-mmcv', '3.0.0', '>=2.0,<3'),
    (MAINTAINED, 'onedl-mmdetection', '4.0.1', '>=3.0,<4'),
    (MAINTAINED, 'onedl-mmpretrain', '0.25.0', '>=1.0,<2'),
])
def test_a_version_out_of_range_says_what_was_found_what_is_allowed_and_how_to_mend_it(
        base, distribution, version, allowed):
    with pytest.raises(ImportError) as error:
        check_dependencies({**base, distribution: version}.get)
    message = str(error.value)
    assert f'found {distribution} {version}' in message
    assert f"pip install '{distribution}{allowed}'" in message
    assert ('compile MMCV against it' in message) == (distribution == 'torch')


def test_both_families_at_once_are_both_checked():
    with pytest.raises(ImportError, match=r'found mmcv 1\.7\.2'):
        check_dependencies({**MAINTAINED, 'mmcv': '1.7.2'}.get)


@pytest.mark.parametrize('distribution, names', [
    ('onedl-mmengine', 'onedl-mmengine, mmengine'),
    ('onedl-mmcv', 'onedl-mmcv, mmcv, mmcv-lite'),
    ('torch', 'torch'),
])
def test_a_missing_framework_is_named_with_all_its_distributions(monkeypatch, distribution, names):
    monkeypatch.setattr('agssp_mm._dependencies.util.find_spec', lambda module: None)
    with pytest.raises(ImportError, match=f"found none of: {names}. Mend it with: pip install '{distribution}>="):
        check_dependencies({**MAINTAINED, distribution: None}.get)


def test_a_source_tree_without_a_distribution_counts_as_there():
    check_dependencies({**MAINTAINED, 'onedl-mmengine': None}.get)  # this environment can import mmengine


def test_the_environment_of_this_suite_fits():
    check_dependencies()
