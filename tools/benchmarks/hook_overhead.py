#!/usr/bin/env python
"""What DistillationPretrainer adds to a training iteration: tools/benchmarks/hook_overhead.py.

mmpretrain's ImageClassifier on ResNet-50 with its cross-entropy in both arms, on made images with made maps. Each pair
times one whole iteration (preprocessing, forward, backward, optimizer) with the hook and one without, in turns, in one
process and on one model; which comes first alternates. Printed are the medians of the paired ratios with their 95 %
intervals (order statistics): of the wall time, and of the processor time of the process, which other load on the
machine hardly moves. Exits 1 if the median of the wall time is above the limit.
"""
import argparse
import sys
import tempfile
import time
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.runner import Runner
from scipy.stats import quantile_test
from torch.utils.data import Dataset

import agssp_mm  # noqa: F401  registers the hook

LIMIT = 1.03
NUM_CLASSES = 10


class MadeImages(Dataset):
    """Noise with labels and maps, packed as mmpretrain packs them."""

    metainfo = dict(classes=tuple(str(number) for number in range(NUM_CLASSES)))

    def __init__(self, num_images: int, size: int) -> None:
        generator = np.random.default_rng(0)
        self.images = generator.integers(0, 256, (num_images, size, size, 3), dtype=np.uint8)
        self.maps = generator.random((num_images, size, size), dtype=np.float32)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        from mmpretrain.datasets import PackInputs
        pack = PackInputs(algorithm_keys=['gt_seg_map'])
        return pack.transform(dict(img=self.images[index], gt_seg_map=self.maps[index], gt_label=index % NUM_CLASSES))


def build_runner(depth: int, batch_size: int, size: int, work_dir: str) -> Runner:
    """A runner whose hook, model and optimizer are used by hand; it never trains by itself."""
    runner = Runner(
        model=dict(type='ImageClassifier', data_preprocessor=dict(mean=[127.5] * 3, std=[127.5] * 3),
                   backbone=dict(type='ResNet', depth=depth, out_indices=(0, 1, 2, 3)),
                   neck=dict(type='GlobalAveragePooling'),
                   head=dict(type='LinearClsHead', num_classes=NUM_CLASSES, in_channels=2048 if depth > 34 else 512)),
        work_dir=work_dir, train_cfg=dict(by_epoch=True, max_epochs=1000),
        train_dataloader=dict(dataset=MadeImages(batch_size, size), batch_size=batch_size, num_workers=0,
                              sampler=dict(type='DefaultSampler', shuffle=False),
                              collate_fn=dict(type='pseudo_collate')),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.001, momentum=0.9)), log_level='WARNING',
        custom_hooks=[dict(type='DistillationPretrainer', levels=(-2, -1))], default_scope='mmpretrain',
        randomness=dict(seed=0))
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.model.train()
    return runner


class Cost(NamedTuple):
    """Seconds of one iteration."""

    wall: float
    processor: float


class Arms:
    """One iteration with the hook, and one without, on one model.

    Args:
        runner: From `build_runner`.
    """

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.hook = next(hook for hook in runner.hooks if type(hook).__name__ == 'DistillationPretrainer')
        self.hook.before_train(runner)

    def cost(self, with_hook: bool) -> Cost:
        """Run one iteration on a fresh batch; loading is not timed."""
        batch = next(iter(self.runner.train_dataloader))
        wall, processor = time.perf_counter(), time.process_time()
        if with_hook:
            self.hook.before_train_iter(self.runner, 0, batch)
        logged = self.runner.model.train_step(batch, self.runner.optim_wrapper)
        cost = Cost(time.perf_counter() - wall, time.process_time() - processor)
        if ('loss_anomaly_s3' in logged) != with_hook:
            raise RuntimeError(f'the arms are mixed up: with_hook={with_hook}, logged {sorted(logged)}')
        return cost

    def pair(self, number: int) -> tuple[Cost, Cost]:
        """Costs (without, with); odd pairs start with the hook."""
        if number % 2:
            with_hook = self.cost(True)
            return self.cost(False), with_hook
        return self.cost(False), self.cost(True)


def summarize(name: str, ratios: list[float]) -> float:
    """Print the median of the ratios with its 95 % interval; return the median."""
    interval = quantile_test(ratios, q=1.0, p=0.5).confidence_interval(0.95)
    median = float(np.median(ratios))
    print(f'{name:14s} with/without {median:.4f}  (95 % interval {interval.low:.4f} to {interval.high:.4f})')
    return median


def main() -> int:
    """Measure and print; the exit status says whether the limit is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--pairs', type=int, default=40, help='timed pairs of iterations')
    parser.add_argument('--depth', type=int, default=50, help='depth of the ResNet')
    parser.add_argument('--batch-size', type=int, default=8)
    parser.add_argument('--size', type=int, default=224, help='height and width of the images in pixels')
    parser.add_argument('--threads', type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as work_dir:
        arms = Arms(build_runner(args.depth, args.batch_size, args.size, work_dir))
        for number in range(2):
            arms.pair(number)
        pairs, start = [], time.monotonic()
        for number in range(args.pairs):
            pairs.append(arms.pair(number))
            left = (time.monotonic() - start) / (number + 1) * (args.pairs - number - 1)
            print(f'\rpair {number + 1}/{args.pairs}, {left:.0f} s left ', end='', file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(f'ResNet-{args.depth}, batch {args.batch_size}, {args.size} px, {args.threads} threads, {args.pairs} pairs, '
          f'median iteration without the hook {np.median([without.wall for without, _ in pairs]):.3f} s')
    wall = summarize('wall time', [hooked.wall / without.wall for without, hooked in pairs])
    summarize('processor time', [hooked.processor / without.processor for without, hooked in pairs])
    print(f'limit {LIMIT}: {"kept" if wall <= LIMIT else "missed"}')
    return 0 if wall <= LIMIT else 1


if __name__ == '__main__':
    sys.exit(main())
