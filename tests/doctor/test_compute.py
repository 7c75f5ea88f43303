import pytest

from agssp_mm.doctor.compute import check_cuda, check_opencv, check_ops, check_python, check_torch
from agssp_mm.doctor.finding import NOTE, OK, PROBLEM

TORCH = dict(version='2.11.0+cu130', cuda='13.0', available=False, gpus=[], warning='')
GPU = dict(TORCH, available=True, gpus=[dict(name='H100', works=True)])


def steps(**answers):
    return {'torch': TORCH, 'torchvision': dict(version='0.26.0'), 'cv2': dict(version='4.12.0'),
            'ops': dict(devices=['cpu'], cuda='not available'), **answers}


@pytest.mark.parametrize('version, status', [((3, 10, 12), PROBLEM), ((3, 11, 0), OK), ((3, 13, 1), OK)])
def test_python(version, status):
    assert check_python(version).status == status


def test_torch_and_torchvision_that_fit():
    torch, vision = check_torch(steps())
    assert (torch.status, torch.text) == (OK, '2.11.0+cu130, built for CUDA 13.0')
    assert (vision.status, vision.text) == (OK, '0.26.0, its operators work')


@pytest.mark.parametrize('answers, name, mend', [
    (dict(torch=dict(error='RuntimeError: Numpy is not available', kind='RuntimeError')), 'torch', "'numpy<2'"),
    (dict(torch=dict(error='the process crashed', kind='crash')), 'torch',
     "--force-reinstall 'torch>=2.5' torchvision"),
    (dict(torch=dict(TORCH, version='1.13.1')), 'torch', "pip install 'torch>=2.5'"),
    (dict(torchvision=dict(error='operator torchvision::nms does not exist', kind='RuntimeError')), 'torchvision',
     "'torch==2.11.0' torchvision"),
])
def test_torch_in_trouble(answers, name, mend):
    finding = next(finding for finding in check_torch(steps(**answers)) if finding.status == PROBLEM)
    assert finding.name == name
    assert mend in finding.mend


def test_opencv_without_its_graphics_library():
    finding = check_opencv(steps(cv2=dict(error='ImportError: libGL.so.1: cannot open', kind='ImportError')))
    assert finding.status == PROBLEM
    assert 'opencv-python-headless' in finding.mend
    assert check_opencv(steps()).status == OK


@pytest.mark.parametrize('error, kind, words', [
    ("ModuleNotFoundError: No module named 'mmcv._ext'", 'ModuleNotFoundError', 'maps and pseudo boxes work without'),
    ('RuntimeError: nms_impl: implementation for device cuda:0 not found.', 'RuntimeError', 'compiled without CUDA'),
    ('the process crashed (killed by SIGSEGV)', 'crash', 'SIGSEGV'),
])
def test_compiled_operators_in_trouble(error, kind, words):
    finding = check_ops(steps(ops=dict(error=error, kind=kind)), {}.get)
    assert finding.status == PROBLEM
    assert words in finding.text
    assert '--no-binary onedl-mmcv onedl-mmcv' in finding.mend
    for told in ('needs nvcc of the major version of CUDA that torch was built for (13)',
                 'CUDA_VISIBLE_DEVICES= in front'):
        assert (told in finding.mend) == ('without CUDA' in words)


@pytest.mark.parametrize('installed, start, end', [
    ({'onedl-mmcv': '2.3.6'}, 'pip install', ' onedl-mmcv onedl-mmcv'),
    ({'mmcv': '2.1.0'}, 'pip install', " mmcv 'mmcv>=2.0,<2.2'"),
    ({'mmcv-lite': '2.1.0'}, 'pip uninstall -y mmcv-lite && pip install', " mmcv 'mmcv>=2.0,<2.2'"),
])
def test_operators_are_compiled_for_the_family_that_is_there(installed, start, end):
    error = dict(error="ModuleNotFoundError: No module named 'mmcv._ext'", kind='ModuleNotFoundError')
    mend = check_ops(steps(ops=error), installed.get).mend
    assert mend.startswith(start) and mend.endswith(end)


def test_compiled_operators_that_work():
    assert check_ops(steps()).text == 'nms answers rightly on cpu; compiled for CUDA: not available'


@pytest.mark.parametrize('torch, driver, status, words', [
    (TORCH, False, OK, 'everything runs on the CPU'),
    (TORCH, True, PROBLEM, 'sees no GPU'),
    (dict(TORCH, cuda=None), True, PROBLEM, 'torch was built for the CPU'),
    (GPU, True, OK, '1 GPU(s): H100; torch was built for CUDA 13.0'),
    (dict(GPU, gpus=[dict(name='H100', works=False)]), True, PROBLEM, 'H100 computes wrongly'),
    (dict(error='CUDA error: no kernel image is available', kind='RuntimeError'), True, PROBLEM, 'no kernel image'),
    (dict(error='the process crashed', kind='crash'), True, NOTE, 'torch does not work'),
])
def test_cuda(torch, driver, status, words, tmp_path):
    path = tmp_path / 'version'
    if driver:
        path.write_text('')
    finding = check_cuda(steps(torch=torch), path)
    assert finding.status == status
    assert words in finding.text
