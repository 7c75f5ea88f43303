"""Makes the models of MMYOLO known; the configs of YOLOv8 name this module in their ``custom_imports``.

Nothing else imports it: MMYOLO (https://github.com/open-mmlab/mmyolo) is no dependency of this project.

Raises:
    ValueError: If MMYOLO is not installed, or refuses the versions beside it. MMEngine takes an ImportError of a
        custom import for its own and drops the message, so it is none.
"""
from importlib import import_module

_WAY_OUT = ('its last release, 0.6.0, takes mmcv < 2.1 only. Use an environment with mmcv 2.0 for YOLOv8, or the rows '
            'with YOLOX (configs/agssp/yolox_*), which need nothing more')

try:
    import_module('mmyolo.models')
except ModuleNotFoundError as error:
    if error.name.split('.')[0] != 'mmyolo':
        raise ValueError(f"MMYOLO needs {error.name}, which is not installed: pip install '{error.name}'") from error
    raise ValueError(f"this config needs MMYOLO, which is not installed (pip install 'mmyolo>=0.6'): {_WAY_OUT}"
                     ) from error
except AssertionError as error:  # how MMYOLO says which versions it takes
    raise ValueError(f'MMYOLO refuses the packages beside it ({error}): {_WAY_OUT}') from error
