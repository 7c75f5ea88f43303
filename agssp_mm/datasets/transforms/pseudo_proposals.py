"""Proposals for detectors that do not make their own."""
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PseudoProposals(BaseTransform):
    """Makes proposals round the boxes of an image, as a proposal network would: some close, some apart.

    For detectors of the Fast R-CNN kind, which are trained on proposals that another model made: with pseudo boxes
    there are none. Stands right before packing.

    Required keys: ``gt_bboxes`` (MMDetection's boxes, xyxy in pixels), ``img_shape``. Added keys: ``proposals``,
    float32 (N, 4), xyxy, inside the image, and ``proposals_scores``, float32 (N, ), all 1.

    Args:
        num: Number of proposals; half of them shifted copies of the boxes, if there are any.
        jitter: Standard deviation of the shift of every side, as a share of the box's own.

    Raises:
        ValueError: If a setting is out of range.
    """

    def __init__(self, num: int = 256, jitter: float = 0.15) -> None:
        if num < 2 or jitter <= 0:
            raise ValueError(f'PseudoProposals needs num >= 2 and jitter > 0, got {num} and {jitter}')
        self.num, self.jitter = num, jitter

    def transform(self, results: dict) -> dict:
        """Add the proposals."""
        boxes = results['gt_bboxes'].tensor.numpy().reshape(-1, 4)
        height, width = results['img_shape'][:2]
        corners = np.sort(np.random.rand(self.num, 2, 2), axis=1) * (width, height)
        proposals = corners.reshape(-1, 4)
        if len(boxes):
            half = boxes[np.random.randint(len(boxes), size=self.num // 2)]
            sides = np.tile(half[:, 2:] - half[:, :2], 2)
            proposals[:self.num // 2] = half + np.random.randn(*half.shape) * sides * self.jitter
        proposals = proposals.clip(0, (width, height) * 2)
        # A shift can turn a small box inside out.
        proposals = np.concatenate([np.minimum(proposals[:, :2], proposals[:, 2:]),
                                    np.maximum(proposals[:, :2], proposals[:, 2:])], axis=1)
        results['proposals'] = torch.from_numpy(proposals.astype(np.float32))
        results['proposals_scores'] = torch.ones(self.num)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(num={self.num}, jitter={self.jitter})'
