#!/usr/bin/env python
"""What KeAD's maps cost beside one plain encode_image of the same model: tools/benchmarks/kead_cost.py.

Maps are made from uint8 images, transform included; encode_image gets the ready tensor. Both are timed in
turn, pair by pair, in one process on the CPU, and the medians of the ratios are printed: of the wall time,
and of the processor time of the process, which other load on the machine hardly moves and which decides. The
weights are random: cost does not depend on them. Texts are encoded once per store and do not count.
"""
import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from agssp_mm.teachers.kead import KeADTeacher
from agssp_mm.teachers.kead_loading import build_model, read_config

LIMIT = 1.25
TEXTS = {'metal': {'map': 'metal surface', 'des': {'good': [], 'defect': []}}}


def random_weights(model: str, folder: Path) -> Path:
    """Weights of a seeded, untrained model, as float16 to keep the file small."""
    torch.manual_seed(0)
    state = build_model(read_config(model)[0], model).state_dict()
    path = folder / 'weights.pt'
    torch.save({name: tensor.half() for name, tensor in state.items()}, path)
    return path


class Cost(NamedTuple):
    """Seconds of one call."""

    wall: float
    processor: float


def cost(work: Callable[[], Any]) -> Cost:
    """What one call costs."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - wall, time.process_time() - processor)


@torch.no_grad()
def median_ratios(teacher: KeADTeacher, images: list[np.ndarray], repeats: int) -> Cost:
    """Medians of maps over encode_image; prints the seconds."""
    batch = teacher.clip.preprocess(images)
    encode, maps = (lambda: teacher.clip.model.encode_image(batch)), (lambda: teacher.predict(images))
    encode(), maps()
    pairs = [(cost(encode), cost(maps)) for _ in range(repeats)]
    for clock in Cost._fields:
        plain, made = (statistics.median(getattr(part, clock) for part in parts) for parts in zip(*pairs))
        print(f'  {clock:9}: encode_image {plain:.3f} s, maps {made:.3f} s; ratios '
              + ' '.join(f'{getattr(made, clock) / getattr(plain, clock):.2f}' for plain, made in pairs))
    return Cost(*(statistics.median(getattr(made, clock) / getattr(plain, clock) for plain, made in pairs)
                  for clock in Cost._fields))


def main(arguments: list[str] | None = None) -> int:
    """Measure; exits 1 when the float32 maps cost more than the limit."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--model', default='ViT-B-16-plus-240',
                        help='open_clip model or model config (default ViT-B-16-plus-240)')
    parser.add_argument('--batch-size', type=int, default=8, help='images per call (default 8)')
    parser.add_argument('--repeats', type=int, default=9, help='timed pairs (default 9)')
    parser.add_argument('--threads', type=int, help="PyTorch's threads (default: PyTorch's own choice)")
    args = parser.parse_args(arguments)
    if args.threads:
        torch.set_num_threads(args.threads)
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        common = dict(model=args.model, pretrained=str(random_weights(args.model, Path(folder))), texts=TEXTS,
                      templates=['a photo of the {}.'])
        side = KeADTeacher(**common).clip.image_size
        images = list(generator.integers(0, 256, (args.batch_size, side, side, 3), dtype=np.uint8))
        normals = [str(Path(folder) / f'{number}.png') for number in range(4)]
        for path in normals:
            Image.fromarray(generator.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)
        print(f'{args.model}, batch {args.batch_size}, {torch.get_num_threads()} threads, '
              f'torch {torch.__version__}')
        worst, maps = 0.0, {}
        for title, settings in (('float32, zero-shot', dict()), ('float32, 4 normals', dict(normals=normals)),
                                ('bf16 autocast, 4 normals', dict(normals=normals, amp='bf16'))):
            teacher = KeADTeacher(**common, **settings)
            print(title)
            ratio = median_ratios(teacher, images, args.repeats)
            maps[title] = np.stack(teacher.predict(images).maps)
            if 'amp' not in settings:
                worst = max(worst, ratio.processor)
            print(f'  maps cost {ratio.processor:.3f} times encode_image in float32 '
                  f'(wall time: {ratio.wall:.3f})')
        difference = np.abs(maps['bf16 autocast, 4 normals'] - maps['float32, 4 normals']).max()
        print(f'largest difference of the bf16 maps: {difference:.4f}, on maps that span '
              f'{np.ptp(maps["float32, 4 normals"]):.4f}')
    print(f'float32 maps cost at most {worst:.3f} times encode_image (processor time); the limit is {LIMIT}')
    return 0 if worst <= LIMIT else 1


if __name__ == '__main__':
    sys.exit(main())
