"""``agssp browse-dataset``: what a pipeline really feeds the model, as pictures."""
import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config

from ..engine.launch import load_config
from ..files import write_atomically
from .settings_action import SettingsAction

SUMMARY = 'show what the pipeline of a config feeds the model, after augmentation: image, anomaly map, boxes'
LOADERS = ('train', 'val', 'test')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('config', help='config file of any stage')
    parser.add_argument('--out', required=True, metavar='FOLDER', help='folder for the pictures')
    parser.add_argument('--stage', choices=LOADERS, default='train',
                        help='whose data loader to look at (default %(default)s)')
    parser.add_argument('--number', type=int, default=20, metavar='N', help='pictures to make (default %(default)s)')
    parser.add_argument('--repeat', type=int, default=1, metavar='N',
                        help='times to show each image, augmented anew (default %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the augmentation (default %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', action=SettingsAction, metavar='KEY=VALUE',
                        help='settings that go before the config')


def run(args: argparse.Namespace) -> int:
    """Write the pictures and say where they are."""
    for name in ('number', 'repeat'):
        if getattr(args, name) < 1:
            raise ValueError(f'--{name} must be at least 1, got {getattr(args, name)}')
    dataset = _build(load_config(args.config, args.cfg_options), args.stage)
    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for name, picture in _pictures(dataset, args.number, args.repeat, args.seed):
        with write_atomically(folder / name) as file:
            file.write(cv2.imencode('.png', picture)[1].tobytes())
        count += 1
    print(f'{count} pictures of {len(dataset)} images: {folder}')
    return 0


def _build(config: Config, stage: str) -> Any:
    from mmengine.registry import DATASETS, init_default_scope
    loader = config.get(f'{stage}_dataloader')
    if not loader:
        have = [name for name in LOADERS if config.get(f'{name}_dataloader')]
        raise ValueError(f'--stage: the config has no {stage}_dataloader; it has: {", ".join(have) or "none"}')
    init_default_scope(config.get('default_scope', 'mmengine'))
    return DATASETS.build(loader.dataset)


def _pictures(dataset: Any, number: int, repeat: int, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """File name and picture: the boxes on the image to the left, the map over the image to the right."""
    import torch
    from mmengine.runner import set_random_seed
    from tqdm import tqdm

    from ..visualization.sample_pictures import input_picture, sample_pictures
    set_random_seed(seed)
    places = [place for place in range(len(dataset)) for _ in range(repeat)][:number]
    for order, place in enumerate(tqdm(places, desc='pictures', unit='image', disable=None)):
        fed = dataset[place]
        inputs, sample = fed['inputs'], fed['data_samples']
        inputs = inputs[0] if isinstance(inputs, (list, tuple)) else inputs
        if not isinstance(inputs, torch.Tensor):
            raise ValueError(f'the pipeline of this config packs inputs of type {type(inputs).__name__}; pictures need '
                             'an image tensor, as PackDetInputs and PackInputs give')
        found = sample_pictures(inputs, sample)
        panels = [found.get('boxes', input_picture(inputs)), *([found['map']] if 'map' in found else [])]
        stem = Path(str(sample.get('img_path', place))).stem
        yield f'{order:04d}_{stem}.png', cv2.hconcat(panels)
