"""Blobs of other images' surface: boxes that are exact, and as varied as the images are."""
from collections import deque
from typing import NamedTuple

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS

from ..synthetic.defects import make_blob
from ..synthetic.image import MIN_SIZE
from .pasting import add_boxes, is_seen, place

_AROUND = np.ones((15, 15), np.uint8)  # where the surface that a blob lies on is looked at
_OWN_LIGHT = (-0.1, 0.7)  # how much of the brightness that a blob comes with it keeps


class _Blob(NamedTuple):
    """A piece of another image: (H, W, C) float32 of [0, 255], and how much of each pixel it covers, (H, W)."""
    content: np.ndarray
    support: np.ndarray


@TRANSFORMS.register_module()
class PasteTextures(BaseTransform):
    """Pastes blobs of the surfaces of other images, with their exact boxes, beside the pseudo boxes of an image.

    Where a surface ends and another begins is an anomaly that no procedure has to invent: scale, crazing and pitted
    fields of the very images that are learnt from become defects of known extent. As DRAEM (Zavrtanik et al., arXiv
    2108.07610) lays foreign textures over an image and CutPaste (Li et al., arXiv 2104.04015) pieces of other places;
    here they are boxes for a detector. The images come from those that this worker saw last, an earlier view of the
    same image perhaps among them: the first one stays as it is, and where all images show the same even surface a blob
    of one is hard to make out on another. Stands after the cropping, and before
    :class:`agssp_mm.datasets.transforms.paste_defects.PasteDefects`, whose defects it would remember otherwise.

    Required keys: ``img``, uint8 or float32 (H, W) or (H, W, C) in [0, 255]; ``gt_bboxes`` (MMDetection's boxes, xyxy
    in pixels), ``gt_bboxes_labels`` int64 (N,) and ``gt_ignore_flags`` bool (N,), as ``LoadAnnotations`` leaves
    them; ``gt_masks``, where the detector learns masks. All of them are changed. Images with a side below 32 pixels
    stay as they are.

    Args:
        prob: Share of the images that get blobs, in [0, 1]; a blob that would not show is left out.
        max_num: Number of blobs that such an image gets at most, evenly drawn from 1 on.
        size: Smallest and largest radius, as a share of the shorter side of the image, log-uniform.
        memory: How many images are remembered; each takes as many bytes as the image that the model gets.
        max_overlap: A blob that would cover more of another box, or have more of its own box covered, is drawn again;
            in [0, 1].
        label: Class that the pasted boxes get.

    Raises:
        ValueError: If a setting is out of range.
    """

    def __init__(self, prob: float = 0.6, max_num: int = 2, size: tuple[float, float] = (0.08, 0.35), memory: int = 64,
                 max_overlap: float = 0.15, label: int = 0) -> None:
        if not (0 <= prob <= 1 and 0 <= max_overlap <= 1 and max_num >= 1 and memory >= 1
                and 0 < size[0] <= size[1] <= 0.5):
            raise ValueError('PasteTextures needs prob and max_overlap in [0, 1], max_num and memory >= 1 and '
                             f'0 < size[0] <= size[1] <= 0.5; got {prob}, {max_overlap}, {max_num}, {memory}, {size}')
        self.prob, self.max_num, self.size = prob, max_num, size
        self.memory, self.max_overlap, self.label = memory, max_overlap, label
        self._seen: deque[np.ndarray] = deque(maxlen=memory)

    def transform(self, results: dict) -> dict:
        """Paste, or leave the image as it is; either way remember it."""
        image = results['img']
        donors = [one for one in self._seen if one.shape[2:] == image.shape[2:]]
        if donors and np.random.rand() < self.prob and min(image.shape[:2]) >= MIN_SIZE:
            # MMEngine seeds NumPy's global state in every worker; the makers of shapes take a generator.
            rng = np.random.default_rng(np.random.randint(2 ** 31))
            blobs = self._choose(rng, donors, image.shape, results['gt_bboxes'].tensor.numpy().reshape(-1, 4))
            if blobs:
                results['img'], masks = _lay_all(rng, image, blobs)
                if len(masks):
                    add_boxes(results, masks, [self.label] * len(masks))
        self._seen.append(image.copy())
        return results

    def _choose(self, rng: np.random.Generator, donors: list[np.ndarray], shape: tuple[int, ...],
                boxes: np.ndarray) -> list[_Blob]:
        """Blobs that keep away from the boxes and from each other."""
        def draw() -> tuple[_Blob, np.ndarray]:
            content = _turned(rng, donors[int(rng.integers(len(donors)))], shape)
            blob = _Blob(content, make_blob(rng, (shape[0], shape[1]), self.size))
            return blob, blob.support

        return place(draw, int(rng.integers(1, self.max_num + 1)), boxes, self.max_overlap)

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(prob={self.prob}, max_num={self.max_num}, size={self.size}, '
                f'memory={self.memory}, max_overlap={self.max_overlap}, label={self.label})')


def _turned(rng: np.random.Generator, image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Another image in the size of this one, flipped at random; float32."""
    if image.shape[:2] != shape[:2]:
        image = cv2.resize(image, (shape[1], shape[0])).reshape(shape)
    image = image[::1 - 2 * int(rng.integers(2)), ::1 - 2 * int(rng.integers(2))]
    return image.astype(np.float32)


def _lay_all(rng: np.random.Generator, image: np.ndarray, blobs: list[_Blob]) -> tuple[np.ndarray, np.ndarray]:
    """The image with the blobs, and the masks (N, H, W) of those that are seen; the others are left out."""
    surface, masks = image.astype(np.float32), []
    for content, support in blobs:
        mask = support > 0.5
        around = cv2.dilate(mask.astype(np.uint8), _AROUND) > 0
        # brightness alone would give most blobs away
        light = (1 - rng.uniform(*_OWN_LIGHT)) * float(surface[around].mean() - content[mask].mean())
        weight = support.reshape(*support.shape, *(1, ) * (surface.ndim - 2))
        laid = surface * (1 - weight) + (content + light) * weight
        if is_seen(surface.clip(0, 255), laid.clip(0, 255), mask):
            surface = laid
            masks.append(mask)
    surface = surface.clip(0, 255)
    whole = surface if image.dtype != np.uint8 else np.round(surface).astype(np.uint8)
    return whole, np.stack(masks) if masks else np.zeros((0, *image.shape[:2]), bool)
