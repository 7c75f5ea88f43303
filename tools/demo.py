#!/usr/bin/env python
"""The whole method on made metal surfaces, and what it gains; `make demo` runs it.

Makes a data set, anomaly maps of its unlabelled images and both stages of the pretraining, then fine-tunes
the same detector on few labelled images from the pretrained weights and from ImageNet weights alone, under
the same seeds, two trainings at a time. What is finished is not done again: an interrupted demo continues where it was.
"""
import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from demo_parts.lanes import count_lanes, run_in_lanes, say
from demo_parts.pictures import choose_images, draw_pictures
from demo_parts.report import format_table, summarise
from demo_parts.steps import Step
from demo_parts.training import TrainingError, describe, detect, measure, train
from mmengine.logging import MMLogger
from mmengine.registry import TASK_UTILS

from agssp_mm import __version__
from agssp_mm.cli import run_command
from agssp_mm.datasets.synthetic import make_dataset
from agssp_mm.engine.launch import load_config
from agssp_mm.engine.resume import find_checkpoint
from agssp_mm.files import write_atomically
from agssp_mm.images import list_images
from agssp_mm.maps.box_cache import load_or_make_boxes
from agssp_mm.maps.generate import generate_maps
from agssp_mm.maps.store import MapStore
from agssp_mm.visualization.run_page import try_to_write_run_page

SUMMARY = 'run the whole method on made metal surfaces'
CONFIGS = Path(__file__).resolve().parents[1] / 'configs' / 'demo'
BASELINE, PRETRAINED = 'ImageNet only', 'with pretraining'
ARMS = {BASELINE: ('imagenet', 'demo_imagenet.py'), PRETRAINED: ('finetune', 'demo_finetune.py')}
TEACHER = dict(type='TextureTeacher')


@dataclass(frozen=True)
class Scale:
    """How large a demo is.

    Attributes:
        size: Side of the images in pixels; as in the configs.
        num_unlabelled: Images for the pretraining; the labelled ones are among them.
        num_labelled: Images for the fine-tuning.
        num_val: Images that are measured on.
        num_pictures: Images that are shown.
        num_seeds: Pairs of fine-tunings.
        max_epochs: Epochs of each training, if not those of its config.
    """

    size: int = 160
    num_unlabelled: int = 300
    num_labelled: int = 48
    num_val: int = 120
    num_pictures: int = 8
    num_seeds: int = 3
    max_epochs: int | None = None


SMOKE = Scale(num_unlabelled=40, num_labelled=8, num_val=8, num_pictures=2, num_seeds=2, max_epochs=1)


class Demo:
    """The steps, each built on those before it.

    Args:
        work_dir: Folder for everything.
        scale: How large.
    """

    def __init__(self, work_dir: Path, scale: Scale):
        self.work_dir, self.scale = work_dir, scale
        self._number, self._total = 0, 5 + 2 * scale.num_seeds
        self.options = {}
        if scale.max_epochs:
            lengths = 'train_cfg.max_epochs', 'param_scheduler.1.T_max'
            self.options = dict.fromkeys(lengths, scale.max_epochs)

    def run(self) -> dict[str, Any]:
        """Do what is not done yet; returns the results, plain JSON."""
        data = self._make_data()
        maps = self._make_maps(data)
        agbp, make_agbp = self._prepare('agbp', 'AGBP: distilling the maps into the backbone', 'backbone.pth', maps)
        agdp, make_agdp = self._prepare('agdp', 'AGDP: training the detector on pseudo boxes', 'detector.pth', agbp)
        seeds = range(self.scale.num_seeds)
        prepared = {(arm, seed): self._prepare_fine_tuning(arm, seed, data if arm == BASELINE else agdp)
                    for seed in seeds for arm in ARMS}
        run_in_lanes([make_agbp, make_agdp], *([prepared[arm, seed][1] for seed in seeds] for arm in ARMS),
                     lanes=count_lanes())
        ends = {key: step for key, (step, _) in prepared.items()}
        shown = self._step('pictures', 'pictures', dict(number=self.scale.num_pictures), *ends.values())
        shown.run(lambda folder: self._draw(folder, ends))
        arms = {arm: {seed: ends[arm, seed].result['metrics'] for seed in range(self.scale.num_seeds)}
                for arm in ARMS}
        return dict(summarise(arms), seconds={step.name: step.result['seconds']
                                              for step in (data, maps, agbp, agdp, *ends.values(), shown)},
                    checkpoints=[str(step.folder / file) for step in (agbp, agdp, *ends.values())
                                 for file in step.result['files']],
                    pictures=[str(shown.folder / file) for file in shown.result['files']])

    def _step(self, name: str, title: str, inputs: dict[str, Any], *after: Step) -> Step:
        self._number += 1
        title = f'[{self._number}/{self._total}] {title}'
        return Step(self.work_dir, name, title, dict(inputs, version=__version__), after)

    def _make_data(self) -> Step:
        settings = dict(num_images=self.scale.num_unlabelled + self.scale.num_val, size=self.scale.size,
                        num_val=self.scale.num_val, num_labelled=self.scale.num_labelled)
        step = self._step('data', 'making images of metal surfaces', settings)

        def work(folder: Path) -> dict[str, Any]:
            make_dataset(folder, **settings)
            return dict(files=['annotations/val.json'])

        step.run(work)
        return step

    def _make_maps(self, data: Step) -> Step:
        step = self._step('maps', 'anomaly maps of the unlabelled images', dict(teacher=TEACHER), data)

        def work(folder: Path) -> dict[str, Any]:
            listed = data.folder / 'annotations' / 'train_unlabelled.json'
            images = list_images(listed, data.folder / 'images')
            print(f'    {generate_maps(images, TASK_UTILS.build(dict(TEACHER)), folder)}', flush=True)
            return dict(files=['maps.json'])

        step.run(work)
        return step

    def _prepare(self, name: str, title: str, output: str, *after: Step) -> tuple[Step, Callable[[], Any]]:
        """A stage of the pretraining, and what runs it."""
        config = CONFIGS / f'demo_{name}.py'
        step = self._step(name, title, dict(config=describe(config, self.options)), *after)

        def work(folder: Path) -> dict[str, Any]:
            train(config, self.options, folder, _number_of(step))
            return dict(files=[output])

        return step, lambda: step.run(work)

    def _prepare_fine_tuning(self, arm: str, seed: int, *after: Step) -> tuple[Step, Callable[[], Any]]:
        name, config = ARMS[arm][0], CONFIGS / ARMS[arm][1]
        options = {**self.options, 'randomness.seed': seed}
        step = self._step(f'{name}/seed{seed}', f'fine-tuning, {arm}, seed {seed}',
                          dict(config=describe(config, options)), *after)

        def work(folder: Path) -> dict[str, Any]:
            train(config, options, folder, _number_of(step))
            checkpoint = find_checkpoint(folder)
            metrics = measure(config, options, checkpoint, folder)
            say(f'    {_number_of(step)}mAP {metrics["mAP"]:.1f}, mAP50 {metrics["mAP50"]:.1f}')
            return dict(files=[checkpoint.name], metrics=metrics)

        return step, lambda: step.run(work)

    def _draw(self, folder: Path, ends: dict[tuple[str, int], Step]) -> dict[str, Any]:
        data = self.work_dir / 'data'
        coco, labelled = (json.loads((data / 'annotations' / f'{part}.json').read_text())
                          for part in ('train', 'train_few'))
        images = choose_images(coco, labelled, self.scale.num_pictures)
        paths = [str(data / 'images' / image['file_name']) for image in images]
        found = []
        for arm in (PRETRAINED, BASELINE):
            end = ends[arm, 0]
            found.append(detect(CONFIGS / ARMS[arm][1], end.folder / end.result['files'][0], paths))
        store = MapStore.open(self.work_dir / 'maps')
        rule = load_config(CONFIGS / 'demo_agdp.py').train_dataloader.dataset.rule
        pseudo = load_or_make_boxes(store, TASK_UTILS.build(rule))
        return dict(files=draw_pictures(folder, data / 'images', images, coco, store, pseudo, found))


def _number_of(step: Step) -> str:
    """``[3/11]`` and a space: trainings side by side write between each other's lines."""
    return f'{step.title.partition(" ")[0]} '


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/demo'),
                        help='folder for everything the demo makes (default work_dirs/demo)')
    parser.add_argument('--smoke', action='store_true', help='few images and epochs: does everything run?')
    parser.add_argument('--seeds', type=int, metavar='N', help='pairs of fine-tunings (default 3, smoke: 2)')


def run(args: argparse.Namespace) -> int:
    """Run the demo and print its table."""
    if args.seeds is not None and args.seeds < 1:
        raise ValueError(f'--seeds must be at least 1, got {args.seeds}')
    scale = SMOKE if args.smoke else Scale()
    if args.seeds:
        scale = replace(scale, num_seeds=args.seeds)
    # the configs look for data, maps and checkpoints there
    os.environ['AGSSP_DEMO_DIR'] = str(args.work_dir)
    MMLogger.get_current_instance().setLevel('WARNING')
    try:
        results = Demo(args.work_dir, scale).run()
    except TrainingError as error:
        print(f'{error}\nThe same command continues from here once the cause is gone.', file=sys.stderr)
        return 1
    path = args.work_dir / 'results.json'
    with write_atomically(path) as file:
        file.write(json.dumps(results, indent=1).encode())
    print(report(results, scale))
    page = try_to_write_run_page(args.work_dir)
    print(f'all numbers: {path}' + (f'\npage that shows it all: {page}' if page else ''))
    return 0


def report(results: dict[str, Any], scale: Scale) -> str:
    """What the user reads at the end."""
    checkpoints, pictures = (''.join(f'\n  {path}' for path in results[kind])
                             for kind in ('checkpoints', 'pictures'))
    return (f'\nBox mAP and mAP50 (CocoMetric, per cent) on {scale.num_val} validation images, after '
            f'fine-tuning on {scale.num_labelled} labelled ones:\n\n{format_table(results)}\n\n'
            f'checkpoints:{checkpoints}\npictures:{pictures}')


if __name__ == '__main__':
    sys.exit(run_command(sys.modules[__name__], 'demo.py'))
