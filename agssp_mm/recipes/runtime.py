"""What all derived configs share, and how they are written down."""
import contextlib
import io
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..files import write_atomically
from .settings import RecipeSettings
from .source_detector import SourceDetector


def runtime(detector: SourceDetector, settings: RecipeSettings, stage: str) -> dict[str, Any]:
    """Scope, imports, hooks, log and seed of a stage.

    Args:
        detector: Whose scope and imports are needed.
        settings: Of the run.
        stage: Names the folder below ``settings.out``.
    """
    imports = (detector.config.get('custom_imports') or {}).get('imports') or []
    imports = [imports] if isinstance(imports, str) else imports
    return dict(
        default_scope=detector.scope,
        custom_imports=dict(imports=[*(one for one in imports if one != 'agssp_mm'), 'agssp_mm'],
                            allow_failed_imports=False),
        default_hooks=dict(
            timer=dict(type='IterTimerHook'),
            logger=dict(type='LoggerHook', interval=20),
            param_scheduler=dict(type='ParamSchedulerHook'),
            # Two: MMEngine deletes the oldest before it writes the next, and a run may be killed meanwhile.
            checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=2),
            sampler_seed=dict(type='DistSamplerSeedHook'),
            visualization=dict(type='DetVisualizationHook')),
        env_cfg=dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
                     dist_cfg=dict(backend='nccl')),
        visualizer=dict(type='DetLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer'),
        log_processor=dict(type='LogProcessor', window_size=50, by_epoch=True),
        log_level='INFO',
        randomness=dict(seed=settings.seed),
        resume=False,
        load_from=None,
        work_dir=str(Path(settings.out) / stage))


def loader(dataset: dict, settings: RecipeSettings, batch_size: int, shuffle: bool = True,
           drop_last: bool = False, parts: int = 1) -> dict:
    """A data loader; an epoch goes over one of that many parts of the data set."""
    sampler = dict(type='SplitEpochSampler', parts=parts) if parts > 1 else dict(type='DefaultSampler')
    return dict(batch_size=batch_size, num_workers=settings.workers, persistent_workers=settings.workers > 0,
                drop_last=drop_last, sampler=dict(sampler, shuffle=shuffle), dataset=dataset)


def write_config(config: Config, path: str | Path, comments: list[str]) -> None:
    """Write a config as readable Python that loads on its own.

    Args:
        config: The config.
        path: File to write, atomically.
        comments: Lines put on top; those with line breaks inside become several, all of them comments.
    """
    with contextlib.redirect_stderr(io.StringIO()):  # yapf
        text = config.pretty_text
    head = ''.join(f'# {line}\n' for comment in comments for line in comment.splitlines())
    with write_atomically(path) as file:
        file.write(f'{head}{text}'.encode())
