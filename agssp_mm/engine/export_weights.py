"""Writing the weights of a run as a plain checkpoint."""
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import EMAHook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor
from torch.distributed.fsdp import FullyShardedDataParallel

from agssp_mm.checkpoints.export import save_checkpoint
from agssp_mm.engine.data_origin import describe_data
from agssp_mm.engine.weight_sources import describe_parents


_PARENTS = 'agssp_mm_parents'


def remember_parents(runner: Runner) -> None:
    """Note down, before training, which files the weights come from.

    Kept in the message hub, which the runner's checkpoints carry: a resumed run still knows what the first start
    loaded.

    Raises:
        ValueError: If the model is sharded over processes, so that none of them could write it at the end.
    """
    _check_whole(runner)
    if not (runner._resume and _PARENTS in runner.message_hub.runtime_info):
        runner.message_hub.update_info(_PARENTS, describe_parents(runner))


def export_weights(runner: Runner, name: str, prefix: str = '') -> Path:
    """Write the weights of the runner's model into its work_dir, on the main process.

    Args:
        runner: At the end of a training before which `remember_parents` was called.
        name: File name.
        prefix: Only tensors whose name starts like this; names are kept.

    Returns:
        Path of the file.

    Raises:
        ValueError: If no tensor has the prefix.
    """
    path = Path(runner.work_dir) / name
    if is_main_process():
        state = {key: value for key, value in final_state_dict(runner).items() if key.startswith(prefix)}
        save_checkpoint(path, state, _meta(runner))
    return path


def final_state_dict(runner: Runner) -> dict[str, Tensor]:
    """Return the weights that count: averaged ones where an EMAHook runs, else the model's own."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    checkpoint = {'state_dict': dict(model.state_dict())}
    for hook in runner.hooks:
        if isinstance(hook, EMAHook):
            # The hook's own way to put the averaged weights into a checkpoint.
            hook.before_save_checkpoint(runner, checkpoint)
    return checkpoint['state_dict']


def _check_whole(runner: Runner) -> None:
    # DeepSpeed need not be installed, so its wrapper goes by its name.
    is_engine = type(runner.model).__name__ == 'MMDeepSpeedEngineWrapper'
    if is_engine or any(isinstance(module, FullyShardedDataParallel) for module in runner.model.modules()):
        raise ValueError(f'the model is wrapped by {type(runner.model).__name__}, which may leave each process with a '
                         'part of the weights only; distillation and export need whole ones: use DDPStrategy, or the '
                         'ordinary Runner with a launcher')


def _meta(runner: Runner) -> dict:
    dataset_meta = getattr(runner.train_dataloader.dataset, 'metainfo', None) or {}
    return {
        'config': Path(runner.cfg.filename).stem if runner.cfg.filename else None,
        'cfg': runner.cfg.pretty_text,
        'epoch': runner.epoch,
        'iter': runner.iter,
        'seed': runner.seed,
        'data': describe_data(runner.cfg.get('train_dataloader')),
        'parents': runner.message_hub.get_info(_PARENTS),
        # mmdet's inference takes the names of the classes from here.
        'dataset_meta': {key: dataset_meta[key] for key in ('classes', 'palette') if key in dataset_meta},
    }
