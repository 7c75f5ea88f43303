"""The hook that says which weights were loaded, and stops when almost none were."""
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import BaseModule, is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from agssp_mm.checkpoints.reading import read_checkpoint, weights_of
from agssp_mm.checkpoints.report import LoadReport, compare_contents, compare_weights
from agssp_mm.engine.weight_sources import WeightSource, pretrained_sources


@HOOKS.register_module()
class LoadReportHook(Hook):
    """Reports which tensors are loaded from `load_from` and from every `init_cfg` of type Pretrained.

    Files are first read with `weights_only=True`, before MMEngine, which unpickles what it cannot read otherwise,
    gets to see them. A file of which too little fits is an error; tensors of the head that depend on the number
    of classes may be left out, and are named.

    Args:
        min_matched: Least share of matched tensors, in [0, 1]; see `LoadReport.matched_share`.
        trust_checkpoint: Let MMEngine unpickle files that hold more than tensors and plain metadata.
        strict: Refuse a file from which any tensor of the model, or of the module with the `init_cfg`, is missing or
            has another shape; of `load_from` also one with a tensor that the model does not have.
        allow_partial: Take a file below the floor too, as long as one tensor matches.

    Raises:
        ValueError: If `min_matched` is no share, or `strict` and `allow_partial` are both set; before training also
            if a file is unreadable, needs unpickling, or matches too little.
        FileNotFoundError: Before training, if a file does not exist.
    """

    def __init__(self, min_matched: float = 0.5, trust_checkpoint: bool = False, strict: bool = False,
                 allow_partial: bool = False) -> None:
        if not 0 <= min_matched <= 1:
            raise ValueError(f'min_matched is a share in [0, 1], got {min_matched}')
        if strict and allow_partial:
            raise ValueError('strict wants every tensor and allow_partial any: set one of them')
        self.min_matched = min_matched
        self.trust_checkpoint = trust_checkpoint
        self.strict = strict
        self.allow_partial = allow_partial
        self._own_loading: list[WeightSource] = []

    def before_run(self, runner: Runner) -> None:
        """Read the files before MMEngine does; report on those of `init_cfg`, which only training uses."""
        if runner._load_from:
            read_checkpoint(runner._load_from, self.trust_checkpoint)
        self._own_loading = []
        if not isinstance(runner.optim_wrapper, OptimWrapper):
            return
        for source in pretrained_sources(runner.model):
            checkpoint = read_checkpoint(source.checkpoint, self.trust_checkpoint)
            if _loads_by_itself(source.module):
                self._own_loading.append(source)
                continue
            report = compare_weights(source.module.state_dict(), weights_of(checkpoint, source.prefix))
            self._judge(runner, report, _label(source), checkpoint)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Report on `load_from`, before the tensors go into the model."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        report = compare_weights(model.state_dict(), weights_of(checkpoint))
        self._judge(runner, report, f'load_from {runner._load_from or ""}'.strip(), checkpoint)
        # Their modules are overwritten; nothing is left to compare.
        self._own_loading = []

    def before_train(self, runner: Runner) -> None:
        """Report on modules that load by code of their own, and may rename what they load."""
        for source in self._own_loading:
            checkpoint = read_checkpoint(source.checkpoint, self.trust_checkpoint)
            weights = weights_of(checkpoint) or weights_of(dict(state_dict=checkpoint.get('model')))
            self._judge(runner, compare_contents(source.module.state_dict(), weights), _label(source), checkpoint)

    def _judge(self, runner: Runner, report: LoadReport, label: str, checkpoint: dict[str, Any]) -> None:
        is_enough = bool(report.matched) if self.allow_partial else report.matched_share >= self.min_matched
        if not is_enough:
            raise ValueError(f'{label} matches almost nothing: {report.matched_share:.0%} of the tensors, at least '
                             f'{self.min_matched:.0%} are needed (min_matched of LoadReportHook; --allow-partial '
                             f'takes any share but none).{_hint(report, checkpoint)}\n{report.text()}')
        whole = report.is_exact if label.startswith('load_from') else not (report.missing or report.wrong_shape)
        if self.strict and not whole:
            raise ValueError(f'{label} does not fit to the last tensor, as strict (--strict) wants it.\n'
                             f'{report.text()}')
        runner.logger.info(f'{label}: {report.text()}')


def _label(source: WeightSource) -> str:
    prefix = f' with prefix {source.prefix!r}' if source.prefix else ''
    return f'init_cfg of {source.name or "the model"} from {source.checkpoint}{prefix}'


def _loads_by_itself(module: BaseModule) -> bool:
    """Whether `init_weights` of a module is written without MMEngine's, as in mmdet's Swin and PVT."""
    method: Any = type(module).init_weights
    return method is not BaseModule.init_weights and 'super' not in method.__code__.co_names


def _hint(report: LoadReport, checkpoint: dict[str, Any]) -> str:
    wanted = {*report.matched, *report.missing}
    names = set(weights_of(checkpoint))
    if any(f'backbone.{name}' in names for name in wanted):
        return " The file keeps its backbone under 'backbone.': add prefix='backbone.' to the init_cfg."
    if not names.isdisjoint(wanted) and not report.matched:
        return ' The file keeps these tensors without a prefix: leave `prefix` out of the init_cfg.'
    if any(name.removeprefix('backbone.') in names for name in wanted if name.startswith('backbone.')):
        return (" The file holds a bare backbone: load it with backbone=dict(init_cfg=dict(type='Pretrained', "
                'checkpoint=...)) instead.')
    return ' It was made for another architecture.'
