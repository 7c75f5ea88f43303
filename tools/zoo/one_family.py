"""One detector through the whole pretraining, in a process of its own: derive, build, train a step each, load back.

``python tools/zoo/one_family.py CONFIG DATA WORK_DIR RESULT`` writes what happened to RESULT, a JSON file, after every
step, so that a killed process still tells how far it came.
"""
import json
import math
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from language_model import use_language_model
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from mmengine.utils import get_installed_path
from torch import Tensor, nn

from agssp_mm.engine.train import train_config
from agssp_mm.files import write_atomically
from agssp_mm.recipes import (RecipeSettings, derive_agbp, derive_agdp, derive_finetune, find_input_needs,
                              inspect_backbone, read_detector, write_config)
from agssp_mm.recipes.branches import inline_teachers, replace_grouped_norms
from agssp_mm.recipes.building import build
from agssp_mm.recipes.reachability import drop_unreachable

MMDET = Path(get_installed_path('mmdet')) / '.mim'
SIDES = (128, 320, 512)
# Large enough for those whose prediction cannot be tried, and near the one size that some are made for.
UNTRIED_SIDE = 320
STEPS = ('derive', 'AGBP', 'AGDP', 'export', 'original', 'six classes')
CLASSES = ('crazing', 'inclusion', 'patches', 'pitted surface', 'rolled-in scale', 'scratches')


class Family:
    """The steps of one detector; each needs those before it.

    Args:
        config: Name of a config, as for `agssp_mm.recipes.read_detector`.
        data: Folder with two made ``images`` and their ``maps``.
        work_dir: Folder for the configs and checkpoints.
    """

    def __init__(self, config: str, data: Path, work_dir: Path):
        self.source, self.data, self.out = config, data, work_dir
        self.facts: dict[str, Any] = {}

    def derive(self) -> None:
        # By its path: MMEngine's own look-up takes no name with a plus or a dot.
        config = Config.fromfile(MMDET / 'configs' / self.source.removeprefix('mmdet::'))
        made = use_language_model(config.model, self.data / 'language_model')
        self.detector = read_detector(config, downloads=False)
        backbone = inspect_backbone(self.detector)
        needs = self._needs()
        settings = RecipeSettings(
            images=str(self.data / 'images'), store=str(self.data / 'maps'), out=str(self.out), num_images=2,
            image_size=self.side, batch_size=4, workers=0, agbp_epochs=1, agdp_epochs=1, classes=CLASSES)
        self.configs = dict(agbp=derive_agbp(self.detector, settings, backbone, needs),
                            agdp=derive_agdp(self.detector, settings, backbone, needs),
                            finetune=derive_finetune(self.detector, settings, needs))
        self.facts.update(backbone=backbone.name, channels=backbone.channels, strides=backbone.strides,
                          side=self.side, notes=[*made, *(note for note in self.detector.notes
                                                          if 'cannot be reached' not in note)])
        for stage, config in self.configs.items():
            config.default_hooks.checkpoint = None  # one step needs no way back
            write_config(config, self.out / f'{stage}.py', [])

    def _needs(self):
        for self.side in SIDES:
            try:
                needs = find_input_needs(self.detector, self.side)
                if needs.has_predicted or self.side >= UNTRIED_SIDE:
                    return needs
            except ValueError:
                if self.side == SIDES[-1]:
                    raise
        return None

    def agbp(self) -> None:
        train_config(self.out / 'agbp.py')
        self.facts['losses'] = check_step(self.out / 'agbp', 'loss_anomaly')
        os.replace(self.out / 'agbp' / 'backbone.pth', self.out / 'backbone.pth')

    def agdp(self) -> None:
        train_config(self.out / 'agdp.py')
        check_step(self.out / 'agdp', 'loss')

    def export(self) -> None:
        path = self.out / 'agdp' / 'detector.pth'
        self.exported = torch.load(path, weights_only=True)['state_dict']
        bad = [name for name, value in self.exported.items()
               if value.is_floating_point() and not value.isfinite().all()]
        if bad:
            raise ValueError(f'{len(bad)} exported tensors are not finite, e.g. {bad[:3]}')
        check_trained(torch.load(self.out / 'backbone.pth', weights_only=True)['state_dict'], self.exported)
        os.replace(path, self.out / 'detector.pth')

    def original(self) -> None:
        config = self.detector.config.model.to_dict()
        inline_teachers(config, MMDET)
        replace_grouped_norms(config)  # the model itself could not be built here
        drop_unreachable(config, downloads=False)
        self.facts['original'] = self._load(config, 'original')

    def six_classes(self) -> None:
        self.facts['six classes'] = self._load(self.configs['finetune'].model.to_dict(), 'six-class')

    def _load(self, config: dict, name: str) -> list[int]:
        model = build(config, self.detector.scope)
        with torch.no_grad():
            for tensor in model.state_dict().values():
                # Nothing may be equal by chance, as fresh normalisations are.
                tensor.add_(1) if tensor.dtype != torch.bool else tensor.logical_not_()
        load_checkpoint(model, str(self.out / 'detector.pth'), map_location='cpu', logger='silent')
        return check_loaded(model, self.exported, self._class_dependent(), name, bool(self._dropped()))

    def _class_dependent(self) -> set[str]:
        """Tensors whose shapes differ between the detector for one class and the one for six."""
        if not hasattr(self, '_dependent'):
            six = build(self.configs['finetune'].model.to_dict(), self.detector.scope).state_dict()
            self._dependent = {name for name, value in six.items()
                               if name in self.exported and self.exported[name].shape != value.shape}
        return self._dependent

    def _dropped(self) -> list[str]:
        return [note for note in self.detector.notes if 'dropped' in note]


def check_trained(backbone: Mapping[str, Tensor], exported: Mapping[str, Tensor]) -> None:
    """Check that stage 2 carried the backbone of stage 1 on and trained it.

    Args:
        backbone: What stage 1 wrote, by names that start with ``backbone.``.
        exported: What stage 2 wrote.

    Raises:
        ValueError: If a tensor is missing or of another shape, or none learned.
    """
    lost = [name for name, value in backbone.items()
            if name not in exported or exported[name].shape != value.shape]
    if lost:
        raise ValueError(f'stage 2 lost {len(lost)} tensors of the backbone of stage 1, e.g. {lost[:3]}')
    if all(torch.equal(value, exported[name]) for name, value in backbone.items()):
        raise ValueError('stage 2 left the backbone of stage 1 as it was, though it should train it')


def check_loaded(model: nn.Module, exported: Mapping[str, Tensor], class_dependent: set[str], name: str,
                 branches_dropped: bool = False) -> list[int]:
    """Check that every tensor that does not depend on the number of classes arrived bit by bit.

    Args:
        model: After loading.
        exported: What the file holds.
        class_dependent: Names of tensors that may be left out.
        name: Of the model, for messages.
        branches_dropped: Branches of the model were left out of the pretraining on purpose and may be missing.

    Returns:
        Number of tensors that arrived, and of all in the model.

    Raises:
        ValueError: If one did not arrive, or the file holds one that the model does not have.
    """
    state = model.state_dict()
    arrived, wrong = 0, []
    plain_names = {key.removeprefix('student.').removeprefix('teacher.') for key in state}
    known = [value for key, value in exported.items() if key in state or key in plain_names]
    # Some heads share modules with the decoder once they are trained: the same tensors under a second name.
    unknown = [key for key, value in exported.items() if key not in state and key not in plain_names
               and not any(value.shape == one.shape and torch.equal(value, one) for one in known)]
    if unknown:
        raise ValueError(f'the {name} model has none of {len(unknown)} exported tensors, e.g. {unknown[:3]}')
    for key, value in state.items():
        # mmdet's semi-supervised wrappers hand a detector's weights to both of their copies.
        plain = key.removeprefix('student.').removeprefix('teacher.') if key not in exported else key
        if plain in exported and exported[plain].shape == value.shape and torch.equal(exported[plain], value):
            arrived += 1
        elif plain in class_dependent or (branches_dropped and 'semantic' in plain):
            continue
        else:
            wrong.append(key)
    if wrong or not arrived:
        raise ValueError(f'{len(wrong)} of {len(state)} tensors of the {name} model did not arrive, e.g. {wrong[:3]}')
    return [arrived, len(state)]


def check_step(folder: Path, loss: str) -> list[str]:
    """Check by the log of a training that its step was taken: finite losses and a gradient.

    Args:
        folder: Of the training.
        loss: What at least one name of a loss must contain.

    Returns:
        Names of the losses.

    Raises:
        ValueError: If there was no step, or it could not have taught anything.
    """
    lines = [json.loads(line) for path in folder.glob('*/vis_data/scalars.json')
             for line in path.read_text(encoding='utf-8').splitlines()]
    steps = [line for line in lines if 'grad_norm' in line]
    if not steps:
        raise ValueError(f'no step was taken: {folder} logged none')
    found = {key: value for key, value in steps[-1].items() if 'loss' in key}
    if not any(loss in key for key in found) or not all(map(math.isfinite, found.values())):
        raise ValueError(f'the losses of the step are {found}')
    if not (math.isfinite(steps[-1]['grad_norm']) and steps[-1]['grad_norm'] > 0):
        raise ValueError(f'the gradient of the step is {steps[-1]["grad_norm"]}')
    return sorted(found)


def run(family: Family, result: Path) -> None:
    """Go through the steps until one fails."""
    done: dict[str, str] = {}

    def write() -> None:
        with write_atomically(result) as file:
            file.write(json.dumps(dict(steps=done, **family.facts)).encode())

    for step in STEPS:
        action: Callable[[], None] = getattr(family, step.lower().replace(' ', '_'))
        done[step] = 'killed (time or memory)'
        write()
        try:
            action()
        except Exception as error:
            traceback.print_exc()
            done[step] = f'{type(error).__name__}: {str(error).strip()}'[:600]
            break
        finally:
            if done[step].startswith('killed') and sys.exc_info()[0] is None:
                done[step] = 'yes'
            write()


def main() -> None:
    """Run one family."""
    config, data, work_dir, result = sys.argv[1:]
    torch.set_num_threads(1)
    folder = Path(work_dir)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run(Family(config, Path(data), folder), Path(result))


if __name__ == '__main__':
    main()
