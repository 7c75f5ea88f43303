"""Made defects on real surfaces: boxes that are exact and cost nothing."""
from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS

from ..synthetic.defects import CATEGORIES, Defect, make_defect
from ..synthetic.image import MIN_SIZE, draw_contrast, lay_over
from .pasting import add_boxes, is_seen, place

_DRAWN_SIDE = 320  # pixels; the time that drawing takes grows with the area, so larger defects are enlarged
_REACH = 16  # pixels; four standard deviations of the blur in lay_over


@TRANSFORMS.register_module()
class PasteDefects(BaseTransform):
    """Pastes procedural defects, with their exact boxes, beside the pseudo boxes of an image.

    Pseudo boxes say roughly where something is wrong; what is pasted teaches the box regression where exactly a defect
    ends. Scratches, pits, inclusions, cracks, patches and scale of the procedural surfaces, with the image itself
    as the surface: the contrast goes with its brightness and roughness there. After CutPaste (Li et al., arXiv
    2104.04015) and DRAEM (Zavrtanik et al., arXiv 2108.07610), which learn to tell such pictures; here they are boxes
    for a detector. Stands after the cropping and before ``PhotoMetricDistortion``.

    Required keys: ``img``, uint8 or float32 (H, W) or (H, W, C) in [0, 255]; ``gt_bboxes`` (MMDetection's boxes, xyxy
    in pixels), ``gt_bboxes_labels`` int64 (N,) and ``gt_ignore_flags`` bool (N,), as ``LoadAnnotations`` leaves
    them; ``gt_masks``, where the detector learns masks. All of them are changed. Images with a side below 32 pixels
    stay as they are.

    Args:
        prob: Share of the images that get defects, in [0, 1]; one that would not show, on black or overexposed metal,
            is left out.
        max_num: Number of defects that such an image gets at most, evenly drawn from 1 on.
        categories: Kinds to draw from, of ``agssp_mm.datasets.synthetic.CATEGORIES``.
        contrast: Smallest and largest contrast, as a share of the brightness around; what the roughness asks for comes
            on top of it.
        max_overlap: A defect that would cover more of another box, or have more of its own box covered, is drawn
            again; in [0, 1].
        label: Class that the pasted boxes get, or a list of one for each of ``categories``, so that the head learns to
            tell kinds apart.

    Raises:
        ValueError: If a setting is out of range.
    """

    def __init__(self, prob: float = 0.6, max_num: int = 2, categories: Sequence[str] = CATEGORIES,
                 contrast: tuple[float, float] = (0.08, 0.4), max_overlap: float = 0.15,
                 label: int | Sequence[int] = 0) -> None:
        if not 0 <= prob <= 1 or max_num < 1 or not 0 <= max_overlap <= 1 or not 0 < contrast[0] <= contrast[1]:
            raise ValueError('PasteDefects needs prob and max_overlap in [0, 1], max_num >= 1 and 0 < contrast[0] <= '
                             f'contrast[1]; got {prob}, {max_overlap}, {max_num} and {contrast}')
        if not categories or set(categories) - set(CATEGORIES):
            raise ValueError(f'PasteDefects draws the categories {", ".join(CATEGORIES)}; got {list(categories)}')
        self.prob, self.max_num, self.categories = prob, max_num, tuple(categories)
        labels = [label] * len(categories) if isinstance(label, int) else list(label)
        if len(labels) != len(categories):
            raise ValueError(f'PasteDefects takes one label, or one for each of {list(categories)}; got {label}')
        self.contrast, self.max_overlap, self.label = contrast, max_overlap, label
        self._labels = dict(zip(categories, labels, strict=True))

    def transform(self, results: dict) -> dict:
        """Paste, or leave the image as it is."""
        if np.random.rand() >= self.prob or min(results['img'].shape[:2]) < MIN_SIZE:
            return results
        # MMEngine seeds NumPy's global state in every worker; the makers of defects take a generator.
        rng = np.random.default_rng(np.random.randint(2 ** 31))
        pasted = self._choose(rng, results['img'].shape[:2], results['gt_bboxes'].tensor.numpy().reshape(-1, 4))
        if pasted:
            categories, defects = zip(*pasted, strict=True)
            masks = np.stack([defect.support > 0.5 for defect in defects])
            results['img'], seen = self._lay_all(rng, results['img'], defects, masks)
            if seen:
                add_boxes(results, masks[seen], [self._labels[categories[number]] for number in seen])
        return results

    def _choose(self, rng: np.random.Generator, shape: tuple[int, int], boxes: np.ndarray) -> list[tuple[str, Defect]]:
        """Defects that keep away from the boxes and from each other, with their categories."""
        wanted, angle = int(rng.integers(1, self.max_num + 1)), float(rng.integers(2)) * np.pi / 2

        def draw() -> tuple[tuple[str, Defect], np.ndarray]:
            category = self.categories[rng.integers(len(self.categories))]
            defect = _draw(rng, shape, category, angle)
            return (category, defect), defect.support

        return place(draw, wanted, boxes, self.max_overlap)

    def _lay_all(self, rng: np.random.Generator, image: np.ndarray, defects: Sequence[Defect],
                 masks: np.ndarray) -> tuple[np.ndarray, list[int]]:
        """The image with the defects, and the numbers of those that are seen; the others are left out."""
        surface, seen = image.astype(np.float32), []
        for number, (defect, mask) in enumerate(zip(defects, masks, strict=True)):
            window = _window(defect)
            defect = Defect(defect.tone[window], defect.support[window], defect.cover)
            near = cv2.dilate(mask[window].astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
            level = max(float(surface[window][near].mean()), 1.0)
            part = surface[window] / level
            contrast = draw_contrast(rng, part, mask[window], self.contrast)
            laid = (lay_over(part, defect, contrast) * level).clip(0, 255)
            if is_seen(surface[window], laid, mask[window]):
                surface[window] = laid
                seen.append(number)
        return surface if image.dtype != np.uint8 else np.round(surface).astype(np.uint8), seen

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(prob={self.prob}, max_num={self.max_num}, categories={self.categories}, '
                f'contrast={self.contrast}, max_overlap={self.max_overlap}, label={self.label})')


def _draw(rng: np.random.Generator, shape: tuple[int, int], category: str, angle: float) -> Defect:
    share = min(1.0, _DRAWN_SIDE / min(shape))
    if share == 1.0:
        return make_defect(rng, shape, category, angle)
    small = make_defect(rng, (round(shape[0] * share), round(shape[1] * share)), category, angle)
    tone, support = (cv2.resize(part.astype(np.float32), shape[::-1]) for part in (small.tone, small.support))
    return Defect(tone, support, small.cover)


def _window(defect: Defect) -> tuple[slice, slice]:
    """Rows and columns that the defect can change, and as much around them as that depends on."""
    touched = (defect.support > 0) | (defect.tone != 0)
    lines = (np.flatnonzero(touched.any(axis=1)), np.flatnonzero(touched.any(axis=0)))
    rows, columns = (slice(max(int(line[0]) - _REACH, 0), int(line[-1]) + 1 + _REACH) for line in lines)
    return rows, columns
