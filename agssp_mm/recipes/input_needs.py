"""Which image sizes a detector can take, found by trying."""
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import nn

from .building import build, without_weights
from .source_detector import SourceDetector

_REFUSALS = (RuntimeError, ValueError, IndexError, AssertionError)
_LARGE, _LARGEST = 512, 1024
_ODD = (13 * 32, 11 * 32)
# What mmcv says of an operation that exists for GPUs alone.
_NO_CPU = 'implementation for device cpu'


@dataclass(frozen=True)
class InputNeeds:
    """What the sides of a detector's input must be.

    Attributes:
        divisor: Sides are padded to multiples of it.
        fixed: Images are padded to one square size, because smaller ones are refused (as by SSD).
        has_predicted: Prediction was tried too; else it needs more than images, and only features were extracted.
    """

    divisor: int
    fixed: bool = False
    has_predicted: bool = True


def find_input_needs(detector: SourceDetector, image_size: int) -> InputNeeds:
    """Build a detector and try it on small blank images.

    Feature extraction must work, and prediction too where it works on a large image: some heads need so many positions
    to choose from, or have kernels wider than the coarsest level of a small image.

    Args:
        detector: The detector.
        image_size: Longer side of the images in pixels.

    Raises:
        ValueError: If it cannot be built, or takes no image of that size.
    """
    trial = _Trial(_build(detector), detector.needs_texts)
    divisor, fixed = _search(trial, detector, image_size)
    return InputNeeds(divisor, fixed, trial.has_predicted)


def _search(trial: '_Trial', detector: SourceDetector, image_size: int) -> tuple[int, bool]:
    own = max(int((detector.model.get('data_preprocessor') or {}).get('pad_size_divisor') or 1), 1)
    # 1 stands for any size: neither side is even.
    if trial.takes(*((107, 75) if own == 1 else (3 * own, 2 * own))):
        return own, False
    base = max(own, 32)
    if trial.takes(3 * base, 2 * base):
        return base, False
    # Odd multiples of it: where a large image of these is taken, small ones are refused for their size alone.
    divisors = (base, ) if trial.takes(*_ODD) else (64, 128)
    for divisor in divisors:
        if divisor > base and trial.takes(3 * divisor, 2 * divisor):
            return divisor, False
    for divisor in divisors:
        side = -(-image_size // divisor) * divisor
        if trial.takes(side, side):
            return divisor, True
    larger = range(-(-image_size // 32) * 32, _LARGEST + 1, 32)
    least = next((side for side in larger if trial.takes(side, side)), None)
    advice = f'the smallest larger size that it takes is {least}' if least else f'nor any larger one up to {_LARGEST}'
    raise ValueError(f'{detector.name} takes no images of {image_size} pixels; {advice} (image_size). It said: '
                     f'{trial.problem}')


def _build(detector: SourceDetector) -> nn.Module:
    config = dict(detector.model, backbone=without_weights(detector.model['backbone']), data_preprocessor=None)
    try:
        model = build(config, detector.scope)
    except Exception as error:  # whatever the constructor of somebody else's class raises
        raise ValueError(f'{detector.name} cannot be built ({type(error).__name__}: {error})') from error
    model.eval()  # of a distilling detector it returns nothing
    return model


class _Trial:
    """Runs a detector on blank images."""

    def __init__(self, model: nn.Module, needs_texts: bool):
        self.model, self.device = model, 'cpu'
        self.texts = dict(text=('anomaly', ), custom_entities=True) if needs_texts else {}
        self.problem, self.has_predicted = '', False

    def takes(self, height: int, width: int) -> bool:
        if not self._extracts(height, width):
            return False
        return self._predicts(height, width) or not self._can_predict

    def _extracts(self, height: int, width: int) -> bool:
        try:
            with torch.no_grad():
                self.model.extract_feat(torch.zeros(1, 3, height, width, device=self.device))
        except _REFUSALS as error:
            self.problem = ' '.join(str(error).split())
            if _NO_CPU not in self.problem or self.device != 'cpu':
                return False
            if not torch.cuda.is_available():
                raise ValueError('the detector needs a GPU, and there is none here: one of its operations exists for '
                                 f'GPUs alone ({self.problem})') from error
            self.device = 'cuda'
            self.model.to(self.device)
            return self._extracts(height, width)
        return True

    @cached_property
    def _can_predict(self) -> bool:
        """Whether it predicts at all here: some want more than images, such as proposals or texts."""
        return self._predicts(_LARGE, _LARGE)

    def _predicts(self, height: int, width: int) -> bool:
        from mmdet.structures import DetDataSample
        size = (height, width)
        sample = DetDataSample(metainfo=dict(
            img_id=0, img_shape=size, ori_shape=size, pad_shape=size, batch_input_shape=size, scale_factor=(1.0, 1.0),
            border=np.array([0, height, 0, width], np.float32), **self.texts))
        try:
            with torch.no_grad():
                self.model.predict(torch.zeros(1, 3, height, width, device=self.device), [sample], rescale=False)
        except (*_REFUSALS, TypeError, KeyError, AttributeError) as error:
            self.problem = ' '.join(str(error).split())
            return False
        self.has_predicted = True
        return True
