#!/usr/bin/env python3
"""Compare few-shot teachers with anomalib's PatchCore: tools/benchmarks/compare_patchcore.py IMAGES MASKS ...

Every draw of normal images goes to each teacher and to anomalib, which runs in its own virtual environment with the
same features: EfficientNet-Lite0 with ImageNet weights, strides 8 and 16. Normal images are drawn from those of
--normals whose mask is empty. Then both predict the same images, squashed to one size, with memories of equal size, by
turns, and the ratio of the rates is printed.
"""
import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median

import cv2
import torch
from map_quality import ALL, mask_paths, measure, read_mask

from agssp_mm.cli import run_command
from agssp_mm.files import write_atomically
from agssp_mm.images import ImageList, list_images, read_image
from agssp_mm.teachers.base import Teacher
from agssp_mm.teachers.naming import teacher_of
from agssp_mm.teachers.patch_memory import PatchMemoryTeacher
from agssp_mm.teachers.precomputed import PrecomputedTeacher

SUMMARY = "compare few-shot teachers with anomalib's PatchCore"
SCRIPT = Path(__file__).with_name('anomalib_patchcore.py')
FIGURES = ('auroc', 'auroc_per_image', 'aupro', 'average_precision', 'best_f1')
SIDE = 256


def sound_images(images: ImageList, masks: Path) -> list[Path]:
    """Paths of the images whose mask is empty.

    Raises:
        ValueError: If there is none.
    """
    found = []
    for entry, mask in zip(images, mask_paths(images, masks)):
        path = images.path(entry)
        if not read_mask(mask, read_image(path).shape[:2]).any():
            found.append(path)
    if not found:
        raise ValueError(f'no image below {images.root} has an empty mask in {masks}')
    return found


class Anomalib:
    """anomalib's PatchCore in another environment.

    Args:
        python: Its interpreter.
        folder: Where lists, weights and maps go.
        threads: Of PyTorch.
    """

    def __init__(self, python: str, folder: Path, threads: int) -> None:
        import timm

        from agssp_mm.checkpoints.efficientnet_lite import to_timm_names, weights_path
        self.python, self.folder, self.threads = python, folder, threads
        names = timm.create_model('tf_efficientnet_lite0').state_dict()
        packaged = torch.load(weights_path('lite0'), map_location='cpu', weights_only=True)
        torch.save(to_timm_names(packaged, names), folder / 'weights.pth')

    def run(self, normals: Sequence[Path], images: ImageList, *options: str) -> tuple[Path, dict]:
        """Folder of the maps, and the cost.

        Raises:
            RuntimeError: If it fails.
        """
        out = Path(tempfile.mkdtemp(dir=self.folder))
        (out / 'fit.txt').write_text('\n'.join(str(path.resolve()) for path in normals))
        (out / 'images.txt').write_text('\n'.join(entry.name for entry in images))
        command = [self.python, SCRIPT, out / 'fit.txt', out / 'images.txt', '--root', images.root,
                   '--out', out / 'maps', '--weights', self.folder / 'weights.pth', '--threads', self.threads, *options]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f'anomalib failed:\n{done.stderr[-2000:]}')
        return out / 'maps', json.loads(done.stdout.splitlines()[-1])


def measured(images: ImageList, masks: list[Path], teacher: Teacher) -> dict[str, float]:
    """Figures of one fitted teacher."""
    reports, rate = measure(images, masks, teacher, {}, 8, None)
    return {**{name: getattr(reports[ALL], name) for name in FIGURES}, 'images_per_second': rate}


def compare_quality(args: argparse.Namespace, anomalib: Anomalib) -> dict[str, list[dict[str, float]]]:
    """Teacher -> figures of every draw."""
    images = list_images(args.images)
    masks, pool = mask_paths(images, Path(args.masks)), sound_images(list_images(args.normals), Path(args.normal_masks))
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(args.draws):
        normals = sorted(random.Random(seed).sample(pool, args.num_normals))
        for name in args.teachers:
            teacher = teacher_of(dict(type=name, normals=[str(path) for path in normals]))
            teacher.fit([])
            found.setdefault(name, []).append(measured(images, masks, teacher))
        maps, _ = anomalib.run(normals, images)
        found.setdefault('anomalib', []).append(measured(images, masks, PrecomputedTeacher(maps)))
        for name, draws in found.items():  # a draw may take minutes
            shown = '  '.join(f'{figure} {draws[-1][figure]:.3f}' for figure in FIGURES)
            print(f'draw {seed}, {name}: {shown}', flush=True)
    return found


def squashed(images: ImageList, folder: Path, number: int) -> ImageList:
    """The first images as square PNGs, so that both sides see the same pixels."""
    folder.mkdir()
    for count, entry in enumerate(images.entries[:number]):
        small = cv2.resize(read_image(images.path(entry)), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f'{count:05}.png'), small)
    return list_images(folder)


def compare_speed(args: argparse.Namespace, anomalib: Anomalib, bank: int) -> list[dict[str, float]]:
    """Images per second of both with a memory of one size, decoding included, several times by turns."""
    images = squashed(list_images(args.images), anomalib.folder / f'square{bank}', args.speed_images)
    fit_on = squashed(list_images(args.normals), anomalib.folder / f'fit{bank}', -(-bank // (SIDE // 8) ** 2))
    paths = [fit_on.path(entry) for entry in fit_on]
    teacher = PatchMemoryTeacher(normals=[str(path) for path in paths], bank_size=bank, selection='random')
    teacher.fit([])
    rounds = []
    for _ in range(args.rounds):
        seconds = 0.0
        for first in range(0, len(images), 8):
            start = time.perf_counter()
            teacher.predict([read_image(images.path(entry)) for entry in images.entries[first:first + 8]])
            seconds += time.perf_counter() - start
        _, cost = anomalib.run(paths, images, '--bank', str(bank), '--selection', 'random')
        ours = len(images) / seconds
        rounds.append(dict(bank=cost['bank'], ours=ours, anomalib=cost['images_per_second'],
                           ratio=ours / cost['images_per_second']))
    return rounds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('images', help='folder of the images to judge')
    parser.add_argument('masks', help='folder of their masks')
    parser.add_argument('--normals', required=True, help='folder of images, those with an empty mask are drawn from')
    parser.add_argument('--normal-masks', required=True, help='folder of the masks of these')
    parser.add_argument('--anomalib-python', required=True, help='Python of the environment with anomalib')
    parser.add_argument('--teachers', nargs='+', default=['patch-memory', 'subspace'],
                        help='teachers that take normals')
    parser.add_argument('--num-normals', type=int, default=4)
    parser.add_argument('--draws', type=int, default=5)
    parser.add_argument('--banks', nargs='*', type=int, default=[500, 20_000], help='sizes of the memory to time')
    parser.add_argument('--speed-images', type=int, default=48)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--out', help='JSON file for the figures')


def run(args: argparse.Namespace) -> int:
    """Compare, print, write."""
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        anomalib = Anomalib(args.anomalib_python, Path(folder), args.threads)
        quality = compare_quality(args, anomalib) if args.draws else {}
        speed = {bank: compare_speed(args, anomalib, bank) for bank in args.banks}
    for name, draws in quality.items():
        means = '  '.join(f'{figure} {fmean(draw[figure] for draw in draws):.3f}' for figure in FIGURES)
        print(f'{name:14s} mean of {len(draws)} draws: {means}')
    for bank, rounds in speed.items():
        ratio, ours, other = (median(one[key] for one in rounds) for key in ('ratio', 'ours', 'anomalib'))
        print(f'bank {bank}: {ours:.1f} images/s, anomalib {other:.1f}, ratio {ratio:.2f}')
    if args.out:
        with write_atomically(args.out) as file:
            file.write((json.dumps(dict(quality=quality, speed=speed), indent=1) + '\n').encode())
    return 0


if __name__ == '__main__':
    sys.exit(run_command(sys.modules[__name__], 'compare_patchcore.py'))
