"""Running the stages of a pretraining, each from what the one before it left."""
import gc
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import torch

from ..checkpoints.repack import export_checkpoint
from ..engine.next_round import make_next_round
from ..engine.resume import find_checkpoint
from ..engine.train import train_config
from ..images import ImageList
from .outdated import set_outdated_aside
from .rounds import round_files
from .run_folder import RunFolder
from .settings import RecipeSettings


def trainings(paths: Mapping[str, Path]) -> list[str]:
    """The stages that are trained, in order: AGBP, unless it is left out, and the rounds of AGDP.

    Args:
        paths: Stage -> its config.
    """
    return [name for name in paths if name not in ('maps', 'finetune')]


def train_stages(folder: RunFolder, paths: Mapping[str, Path], images: ImageList, settings: RecipeSettings) -> None:
    """Train what is not done yet, as the configs say.

    Args:
        folder: Of the run; gets ``backbone.pth``, of AGBP or without it of the detector, and ``detector.pth``.
        paths: Stage -> its config, as `agssp_mm.pretrain` wrote them.
        images: The unlabelled images.
        settings: Of the run.

    Raises:
        RuntimeError: If a training on several devices fails.
    """
    stages = trainings(paths)
    for number, stage in enumerate(stages, 2):
        name = 'backbone.pth' if stage == 'agbp' else 'detector.pth'
        is_taken_up = stage in ('agbp', stages[-1])  # rounds before the last leave their detector in their folder
        done = (folder.path if is_taken_up or (folder.path / name).is_file() else folder.path / stage) / name
        if done.is_file():
            print(f'{number} of {1 + len(stages)}, {stage}: done before, {done} is there', flush=True)
            continue
        print(f'{number} of {1 + len(stages)}, {stage}: {paths[stage]}, logs in {folder.path / stage}', flush=True)
        if stage not in ('agbp', 'agdp'):
            _make_boxes(folder.path, paths[stages[number - 3]], number - 2 + ('agbp' not in stages), images, settings)
        if find_checkpoint(folder.path / stage) is None:  # else it was interrupted, and goes on as it was
            _set_later_aside(folder.path, stages, stage)
        _train(paths[stage], settings.devices)
        if is_taken_up:
            folder.take_up(stage, name)
    if 'agbp' not in stages and not (folder.path / 'backbone.pth').is_file():
        export_checkpoint(folder.path / 'detector.pth', folder.path / 'backbone.pth')


def _set_later_aside(folder: Path, stages: list[str], stage: str) -> None:
    """Of a stage that starts anew: keep what the ones after it left from being taken for theirs."""
    later = stages[stages.index(stage) + 1:]
    rounds = dict(round_files(number) for number in range(2, 1 + len(stages)))
    boxes = [str(rounds[name]) for name in later if name in rounds]
    exported = ['detector.pth'] * bool(later) + ['backbone.pth'] * ('agbp' not in stages)
    outdated = set_outdated_aside(folder, [*exported, *boxes, *(f'{name}.parts' for name in boxes), *later])
    if outdated:
        print(f'    {stage} is trained anew: {", ".join(outdated)}, made with the one before, kept as *.old',
              flush=True)


def _make_boxes(folder: Path, last: Path, round_number: int, images: ImageList, settings: RecipeSettings) -> None:
    """Make the boxes of a round with the detector of the one before, unless they are there."""
    target = folder / str(round_files(round_number)[1])
    if not target.is_file():
        boxes = make_next_round(last, folder / last.stem / 'detector.pth', images, settings.store, target,
                                image_size=settings.image_size, workers=settings.workers)
        print(f'    {sum(len(each.boxes) for each in boxes.values())} boxes in {len(boxes)} images: {target}',
              flush=True)


def _train(config: Path, devices: int) -> None:
    if devices == 1:
        train_config(config)
        return
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={devices}', '-m',
               'agssp_mm.engine.train', str(config), '--launcher', 'pytorch']
    if torch.cuda.is_initialized():
        # Teacher and detector of this process are done; what PyTorch keeps of their memory is missed by rank 0.
        gc.collect()
        torch.cuda.empty_cache()
    status = subprocess.run(command, check=False).returncode
    if status:
        raise RuntimeError(f'the training {config} on {devices} devices failed with exit status {status}; the same '
                           'call goes on from its last checkpoint once the cause is gone')
