"""The hook that gives the backbone other weights than `load_from` has for it."""
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from agssp_mm.checkpoints.reading import read_checkpoint, weights_of

_PREFIX = 'backbone.'


@HOOKS.register_module()
class BackboneStartHook(Hook):
    """Puts a backbone in place of that of `load_from`, or lets `load_from` itself be a bare backbone.

    An `init_cfg` would not do for whole detectors: DETR and its kin draw numbers over what it loaded, and mmdet's Swin
    loads no bare backbone. Nothing happens in a run that is resumed.

    Args:
        checkpoint: File whose tensors `backbone.*` are taken; None: the tensors of `load_from` have no such prefix, and
            get it.

    Raises:
        FileNotFoundError: When the weights are loaded, if there is no such file.
        ValueError: Likewise, if it holds no tensor `backbone.*`.
    """

    # Before LoadReportHook looks at what is loaded, and EMAHook copies it.
    priority = 'HIGH'

    def __init__(self, checkpoint: str | None = None) -> None:
        self.checkpoint = checkpoint

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Change what was read, before the tensors go into the model."""
        if runner._resume:
            return
        weights = weights_of(checkpoint)
        if self.checkpoint is None:
            checkpoint['state_dict'] = {f'{_PREFIX}{name}': value for name, value in weights.items()}
            return
        own = {name: value for name, value in weights_of(read_checkpoint(self.checkpoint)).items()
               if name.startswith(_PREFIX)}
        if not own:
            raise ValueError(f'BackboneStartHook: {self.checkpoint} has no tensor whose name starts with "{_PREFIX}"; '
                             'give the backbone.pth of stage 1')
        others = {name: value for name, value in weights.items() if not name.startswith(_PREFIX)}
        checkpoint['state_dict'] = others | own
