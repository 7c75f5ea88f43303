"""Local texture descriptors of a grey image that do not depend on the level of illumination."""
import cv2
import numpy as np

#: Channels of :func:`texture_features`: centre-surround contrast, skewness (dark spots against bright ones),
#: roughness, energy of the gradient in four directions, of the curvature in two and of long lines in two, and
#: how far the lay (brush, rolling and grinding marks) keeps on in two.
NUM_FEATURES = 13

_CENTRE_SIGMA, _SURROUND_SIGMA = 1, 4  # working pixels
_POOL_SIGMA = 3  # working pixels; wider pooling costs more on small defects than it gains on large ones
_LIGHT_SIGMA = 8  # working pixels; what varies more slowly is light, not texture
_LINE_SIGMA, _LINE_SIZE = 8, 49  # working pixels
_LAY_SHIFT = 8  # working pixels
_LOG_OFFSET = 10.0  # grey levels; keeps the sensor noise of dark images from passing for contrast
_ENERGY_FLOOR, _LINE_FLOOR = 1e-5, 3e-6  # square of a third of a grey level at mid grey: quantisation noise
_SKEW_SIGMA, _SKEW_FLOOR = 2, 1e-4


def to_working_grey(image: np.ndarray, long_side: int) -> np.ndarray:
    """Grey image whose longer side is at most ``long_side``; smaller images keep their size.

    Args:
        image: (H, W, 3) uint8, BGR.
        long_side: In pixels.

    Returns:
        (h, w) float32 in [0, 255].
    """
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    scale = long_side / max(grey.shape)
    if scale < 1:
        height, width = (max(1, round(side * scale)) for side in grey.shape)
        grey = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    return grey.astype(np.float32)


def texture_features(grey: np.ndarray, stride: int) -> np.ndarray:
    """Contrast, roughness, oriented energy and lay of the surroundings of every cell.

    All of it is computed on log intensity, where uneven light is a smooth term that is subtracted; borders
    are mirrored, so that the frame of the image is no edge.

    Args:
        grey: (h, w) float32 in [0, 255].
        stride: Pixels per cell of the result.

    Returns:
        (ceil(h / stride), ceil(w / stride), NUM_FEATURES) float32.
    """
    log = np.log(grey + _LOG_OFFSET)
    log -= _blur(log, _LIGHT_SIGMA)
    cells = _Cells(grey.shape, stride)
    contrast = cells.mean(_blur(log, _CENTRE_SIGMA)) - cells.pool(log, _SURROUND_SIGMA)
    return np.stack([contrast, _skewness(log, cells), *_oriented(log, cells)], axis=-1)


class _Cells:
    """Pools channels of an image over the surroundings of every cell.

    The mean over a cell comes first, then the blur, on a fourth of the pixels at a stride of 2: both are linear,
    so that the order is of no consequence but for the time it takes.
    """

    def __init__(self, shape: tuple[int, int], stride: int) -> None:
        self._stride = stride
        self._height, self._width = (-(-side // stride) for side in shape)

    def mean(self, channel: np.ndarray) -> np.ndarray:
        return cv2.resize(channel, (self._width, self._height), interpolation=cv2.INTER_AREA)

    def pool(self, channel: np.ndarray, sigma: float = _POOL_SIGMA) -> np.ndarray:
        """Blurred by ``sigma`` pixels."""
        return _blur(self.mean(channel), sigma / self._stride)

    def pool_lines(self, channel: np.ndarray, axis: int) -> np.ndarray:
        """Energy, pooled, of what keeps on along an axis."""
        height, width = channel.shape
        size, kernel = ((width, self._height), (1, self._line_size)) if axis == 0 else \
            ((self._width, height), (self._line_size, 1))
        along = cv2.resize(channel, size, interpolation=cv2.INTER_AREA)
        lines = cv2.GaussianBlur(along, kernel, _LINE_SIGMA / self._stride, borderType=cv2.BORDER_REFLECT)
        return self.pool(lines * lines)

    @property
    def _line_size(self) -> int:
        return _LINE_SIZE // self._stride // 2 * 2 + 1


def _skewness(log: np.ndarray, cells: _Cells) -> np.ndarray:
    detail = log - _blur(log, _SKEW_SIGMA)
    square = detail * detail
    return cells.pool(square * detail, _SKEW_SIGMA) / (cells.pool(square, _SKEW_SIGMA) + _SKEW_FLOOR) ** 1.5


def _oriented(log: np.ndarray, cells: _Cells) -> list[np.ndarray]:
    """Roughness, then what depends on direction: energies as logarithms of local standard deviations."""
    pool = cells.pool
    along_x, along_y = _derivative(log, 1, 0), _derivative(log, 0, 1)
    energy_x, energy_y, mixed = pool(along_x * along_x), pool(along_y * along_y), pool(along_x * along_y)
    total, level = energy_x + energy_y, pool(log)
    energies = [pool(log * log) - level * level, energy_x, energy_y, total + 2 * mixed, total - 2 * mixed,
                pool(_derivative(along_x, 1, 0) ** 2), pool(_derivative(along_y, 0, 1) ** 2)]
    lines = [cells.pool_lines(along_x, axis=0), cells.pool_lines(along_y, axis=1)]
    lays = [pool(along_x * _shifted(along_x, axis=0)) / (energy_x + _ENERGY_FLOOR),
            pool(along_y * _shifted(along_y, axis=1)) / (energy_y + _ENERGY_FLOOR)]
    return [*(_log_deviation(energy, _ENERGY_FLOOR) for energy in energies),
            *(_log_deviation(energy, _LINE_FLOOR) for energy in lines), *lays]


def _log_deviation(energy: np.ndarray, floor: float) -> np.ndarray:
    return 0.5 * np.log(np.maximum(energy, 0) + floor)


def _shifted(channel: np.ndarray, axis: int) -> np.ndarray:
    """What lies ``_LAY_SHIFT`` pixels before, mirrored at the border."""
    length = channel.shape[axis]
    return channel.take(np.abs(np.arange(length) - _LAY_SHIFT).clip(max=length - 1), axis=axis)


def _derivative(channel: np.ndarray, dx: int, dy: int) -> np.ndarray:
    return cv2.Sobel(channel, cv2.CV_32F, dx, dy, scale=0.25, borderType=cv2.BORDER_REFLECT)


def _blur(channel: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(channel, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
