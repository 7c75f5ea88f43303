#!/usr/bin/env python3
"""Run anomalib's PatchCore; needs anomalib, not agssp_mm: VENV/bin/python tools/benchmarks/anomalib_patchcore.py ...

Learns from the images of one list, writes the map of each image of another as .npy, and prints a line of JSON with the
cost. Started by compare_patchcore.py in anomalib's own virtual environment.
"""
import argparse
import json
import resource
import time
from pathlib import Path

import anomalib
import numpy as np
import torch
from anomalib.models.image.patchcore.torch_model import PatchcoreModel
from PIL import Image

_MIDDLE = 127.5  # mean and deviation that EfficientNet-Lite was trained with


def read_list(path: str) -> list[str]:
    """Names, one per line."""
    return [line for line in Path(path).read_text().splitlines() if line]


def load(paths: list[Path], side: int) -> torch.Tensor:
    """(B, 3, side, side) normalised RGB."""
    images = [Image.open(path).convert('RGB').resize((side, side), Image.Resampling.BILINEAR) for path in paths]
    return torch.stack([torch.from_numpy((np.asarray(image, np.float32) - _MIDDLE) / _MIDDLE).permute(2, 0, 1)
                        for image in images])


def fit(model: PatchcoreModel, paths: list[Path], args: argparse.Namespace) -> None:
    """Fill the memory: a greedy or random choice of at most ``--bank`` patches."""
    model.train()
    model.feature_extractor.eval()
    for start in range(0, len(paths), args.batch_size):
        model(load(paths[start:start + args.batch_size], args.side))
    total = sum(len(part) for part in model.embedding_store)
    if args.selection == 'greedy' and args.bank < total:
        model.subsample_embedding(args.bank / total)
    else:
        patches = torch.vstack(model.embedding_store)
        model.memory_bank = patches[torch.randperm(total)[:args.bank].sort().values]
    model.eval()


def main() -> None:
    """Fit, predict, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('fit', help='file of the paths to learn from')
    parser.add_argument('images', help='file of the names to predict')
    parser.add_argument('--root', required=True, help='folder that these are relative to')
    parser.add_argument('--out', required=True, help='folder for the maps')
    parser.add_argument('--weights', required=True, help="state dict under timm's names")
    parser.add_argument('--backbone', default='tf_efficientnet_lite0')
    parser.add_argument('--layers', nargs='+', default=['blocks.2', 'blocks.4'])
    parser.add_argument('--side', type=int, default=256)
    parser.add_argument('--bank', type=int, default=10_000)
    parser.add_argument('--selection', choices=('greedy', 'random'), default='greedy')
    parser.add_argument('--batch-size', type=int, default=8)
    parser.add_argument('--threads', type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model = PatchcoreModel(layers=args.layers, backbone=args.backbone, pre_trained=False)
    weights = torch.load(args.weights, weights_only=True)
    extractor = model.feature_extractor.feature_extractor
    own = extractor.state_dict()
    extractor.load_state_dict({name: weights[name.replace('blocks_', 'blocks.')] for name in own})
    start = time.perf_counter()
    fit(model, [Path(path) for path in read_list(args.fit)], args)
    fit_seconds = time.perf_counter() - start
    names, seconds = read_list(args.images), 0.0
    for first in range(0, len(names), args.batch_size):
        part = names[first:first + args.batch_size]
        start = time.perf_counter()
        with torch.no_grad():
            maps = model(load([Path(args.root) / name for name in part], args.side)).anomaly_map
        seconds += time.perf_counter() - start
        for name, one in zip(part, maps):
            path = (Path(args.out) / name).with_suffix('.npy')
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, one.squeeze().numpy())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(dict(anomalib=anomalib.__version__, bank=len(model.memory_bank), fit_seconds=fit_seconds,
                          images_per_second=len(names) / seconds, peak_memory_mib=memory)))


if __name__ == '__main__':
    main()
