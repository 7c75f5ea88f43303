"""Imports and calls that may crash, run as a script of its own: ``python -P steps.py STEP...``.

Before each step a line ``start STEP`` is written, and after it one with JSON: what was found, or the error. Whoever
reads the lines so knows which step a process died in.
"""
import json
import sys
import warnings
from collections.abc import Callable


def torch_step() -> dict:
    """Version and CUDA of torch; one sum on every GPU, and an exchange with NumPy."""
    import numpy
    import torch
    assert torch.from_numpy(numpy.ones(3)).sum().item() == 3
    found: dict = dict(version=torch.__version__, cuda=torch.version.cuda, archs=torch.cuda.get_arch_list(), gpus=[])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        found['available'] = torch.cuda.is_available()
    found['warning'] = ' '.join(str(caught[-1].message).split()) if caught else ''
    for index in range(torch.cuda.device_count() if found['available'] else 0):
        # the kernels for this very GPU may be missing, which only a call shows
        total = torch.ones(3, device=f'cuda:{index}').sum().item()
        found['gpus'].append(dict(name=torch.cuda.get_device_name(index), works=total == 3))
    return found


def torchvision_step() -> dict:
    """One call of a compiled operator of torchvision."""
    import torchvision
    _check_nms(lambda boxes, scores: torchvision.ops.nms(boxes, scores, 0.5), 'cpu')
    return dict(version=torchvision.__version__)


def cv2_step() -> dict:
    """OpenCV, by a picture there and back."""
    import cv2
    import numpy
    image = numpy.arange(12, dtype=numpy.uint8).reshape(2, 2, 3)
    assert (cv2.imdecode(cv2.imencode('.png', image)[1], cv2.IMREAD_COLOR) == image).all()
    return dict(version=cv2.__version__)


def mmengine_step() -> dict:
    """MMEngine can be imported."""
    import mmengine
    return dict(version=mmengine.__version__)


def mmcv_step() -> dict:
    """The part of MMCV that needs no compiled operators."""
    import mmcv
    import mmcv.transforms  # noqa: F401
    return dict(version=mmcv.__version__)


def ops_step() -> dict:
    """One call of a compiled operator of MMCV, on every kind of device there is."""
    import torch
    from mmcv.ops import get_compiling_cuda_version, nms
    devices = ['cpu', 'cuda'] if torch.cuda.is_available() else ['cpu']
    for device in devices:
        _check_nms(lambda boxes, scores: nms(boxes, scores, iou_threshold=0.5)[1], device)
    return dict(devices=devices, cuda=get_compiling_cuda_version())


def mmdet_step() -> dict:
    """MMDetection, whose import also checks the versions of the others."""
    import mmdet
    import mmdet.apis  # noqa: F401
    return dict(version=mmdet.__version__)


def mmpretrain_step() -> dict:
    """MMPretrain, whose import also checks the versions of the others."""
    import mmpretrain
    import mmpretrain.apis  # noqa: F401
    return dict(version=mmpretrain.__version__)


def _check_nms(nms: Callable, device: str) -> None:
    """Two boxes overlap by 0.8 and the weaker goes; the third stands apart."""
    import torch
    boxes = torch.tensor([[0., 0., 10., 10.], [0., 0., 10., 8.], [20., 20., 30., 30.]], device=device)
    scores = torch.tensor([0.9, 0.8, 0.7], device=device)
    kept = nms(boxes, scores).tolist()
    if kept != [0, 2]:
        raise RuntimeError(f'nms on {device} kept boxes {kept}, not [0, 2]')


def main(names: list[str]) -> None:
    """Run the named steps in order."""
    for name in names:
        print(f'\nstart {name}', flush=True)
        try:
            answer = dict(globals()[f'{name}_step']())
        except BaseException as error:  # an import may even exit
            answer = dict(error=f'{type(error).__name__}: {" ".join(str(error).split())}', kind=type(error).__name__)
        print('\n' + json.dumps({'step': name, **answer}), flush=True)


if __name__ == '__main__':
    main(sys.argv[1:])
