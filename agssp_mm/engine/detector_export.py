"""The hook that writes the whole trained model as a plain checkpoint."""
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from agssp_mm.engine.export_weights import export_weights, remember_parents


@HOOKS.register_module()
class DetectorExportHook(Hook):
    """Writes `detector.pth` into the work_dir at the end of training: every tensor of the model.

    Averaged weights where an EMAHook runs. Unlike the runner's own checkpoints it holds no optimizer and loads
    under `torch.load(..., weights_only=True)`; use it as `load_from`.
    """

    def before_train(self, runner: Runner) -> None:
        """Note down where the weights come from."""
        remember_parents(runner)

    def after_train(self, runner: Runner) -> None:
        """Write the file."""
        path = export_weights(runner, 'detector.pth')
        runner.logger.info(f"Wrote the whole model to {path}. To start from it:\nload_from = '{path}'")
