#!/usr/bin/env python
"""How far KeADTeacher is from golden arrays of the published KeAD: tools/benchmarks/kead_parity.py FOLDER.

The folder holds model.json (open_clip model config), weights.pt (or .safetensors), texts.json with its normal
images, and golden.npz with `images` (N, H, W, 3) uint8 RGB, `class_id` (N,) in the order of texts.json, and
any of: preprocessed, text_normal, text_anomalous, text_empty, image_embedding, level_tokens, text_map,
few_shot_map, anomaly_map, zero_shot_score, few_shot_score. Nothing in it says which V-V path made the arrays:
all are run and the one that fits best is taken, and named. Exits 1 if an array is farther off than the
tolerance, 2 if the folder cannot be used.
"""
import argparse
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agssp_mm.teachers.kead import KeADTeacher
from agssp_mm.teachers.kead_loading import load_clip
from agssp_mm.teachers.kead_model import ClipModel
from agssp_mm.teachers.prompts import load_texts
from agssp_mm.teachers.vv_attention import LevelPlan, vv_features

PATHS = (('vv_res', 'aliased'), ('vv_res', 'distinct'), ('vv', 'distinct'))
#: The settings of the published run beside those of a tower of another depth.
LAYERS = ((None, None), ((3, 6, 9, 12), 10))


def load_golden(folder: Path) -> dict[str, np.ndarray]:
    """All arrays of golden.npz.

    Raises:
        FileNotFoundError: If a file of the folder is missing.
        ValueError: If images or classes are missing.
    """
    missing = [name for name in ('model.json', 'texts.json', 'golden.npz') if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(f'{folder} lacks {missing}')
    with np.load(folder / 'golden.npz', allow_pickle=False) as arrays:
        golden = dict(arrays)
    if not {'images', 'class_id'} <= set(golden):
        raise ValueError(f'{folder / "golden.npz"} must hold images and class_id, it has {sorted(golden)}')
    return golden


def find_weights(folder: Path) -> Path:
    """The one weights file of the folder."""
    for name in ('weights.pt', 'weights.safetensors'):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f'{folder} lacks weights.pt or weights.safetensors')


def candidates(depth: int, num_levels: int | None) -> list[LevelPlan]:
    """Every V-V path that could have made the arrays."""
    plans = []
    for (layers, dpam_layer), (surgery, levels) in product(LAYERS, PATHS):
        try:
            plan = LevelPlan.of(depth, layers, dpam_layer, surgery, levels)
        except ValueError:  # these layers do not exist in this tower
            continue
        if plan not in plans and num_levels in (None, len(plan.layers)):
            plans.append(plan)
    if not plans:
        raise ValueError(f'golden.npz has {num_levels} levels; no known setting has so many for {depth} '
                         'blocks')
    return plans


def best_plan(clip: ClipModel, images: list[np.ndarray], golden: dict[str, np.ndarray]) -> LevelPlan:
    """The V-V path whose features are nearest to ``level_tokens``; the first one if there are none."""
    expected = golden.get('level_tokens')
    plans = candidates(clip.depth, None if expected is None else len(expected))
    if expected is None:
        print(f'no level_tokens to tell the V-V path by; taking {plans[0].surgery}, {plans[0].levels}')
        return plans[0]
    batch, far = clip.preprocess(images), {}
    for plan in plans:
        with torch.no_grad():
            tokens = vv_features(clip.model.visual, batch, plan).tokens[list(plan.level_index)]
        far[plan] = largest_difference(tokens.numpy(), expected)
        print(f'V-V path {plan.surgery:6} levels {plan.levels:8} of blocks {plan.layers}: {far[plan]:.2e}')
    return min(plans, key=far.__getitem__)


def largest_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest absolute difference; infinite where shapes differ or something is not finite."""
    if found.shape != expected.shape:
        return float('inf')
    difference = np.abs(found.astype(np.float64) - expected)
    return float(np.where(np.isfinite(difference), difference, np.inf).max(initial=0.0))


def compute(teacher: KeADTeacher, images: list[np.ndarray], names: list[str],
            order: list[str]) -> dict[str, Any]:
    """Every array of the layout, by our teacher."""
    output = teacher.analyse(images, names)
    grid = (len(images), *teacher.clip.grid_size)
    texts = torch.stack([teacher.references.text_features(name) for name in order]).unbind(1)
    arrays = dict(
        preprocessed=teacher.clip.preprocess(images), image_embedding=output.tower.embedding,
        text_normal=texts[0], text_anomalous=texts[1], text_empty=texts[2],
        level_tokens=output.tower.tokens[list(teacher.plan.level_index)],
        text_map=output.text_map.view(grid), few_shot_map=output.few_shot_map.view(grid),
        zero_shot_score=output.zero_shot_score, few_shot_score=output.score)
    by_source = teacher.predict(images, sources=names)  # what a map store is made of
    return {name: array.numpy() for name, array in arrays.items()} | {'anomaly_map': np.stack(by_source.maps)}


def compare(folder: Path, tolerance: float) -> bool:
    """Print a line per array; whether all lie within the tolerance."""
    golden = load_golden(folder)
    order = list(load_texts(folder / 'texts.json'))
    images = [np.ascontiguousarray(image[..., ::-1]) for image in golden['images']]
    names = [order[index] for index in golden['class_id']]
    model = dict(model=str(folder / 'model.json'), pretrained=str(find_weights(folder)))
    plan = best_plan(load_clip(**model), images, golden)
    print(f'taken: surgery={plan.surgery!r}, levels={plan.levels!r}, feature_layers={plan.layers}, '
          f'dpam_layer={plan.dpam_layer}')
    teacher = KeADTeacher(**model, texts=folder / 'texts.json', text_class={name: name for name in order},
                          surgery=plan.surgery, levels=plan.levels, feature_layers=plan.layers,
                          dpam_layer=plan.dpam_layer)
    found = compute(teacher, images, names, order)
    bare = np.array([teacher.references.memory(name) is None for name in names])
    return report(found, golden, bare, tolerance)


def report(found: dict[str, np.ndarray], golden: dict[str, np.ndarray], bare: np.ndarray,
           tolerance: float) -> bool:
    """Print a line per array; ``bare`` marks images of classes without normal images."""
    good = True
    for name, array in found.items():
        if name not in golden:
            print(f'{name:18} not in golden.npz')
            continue
        expected, note = golden[name], ''
        if len(expected) == len(bare) and bare.any() and np.isnan(expected[bare]).all():
            # The published code has no few-shot values for such a class; there is nothing to compare with.
            array, expected = array[~bare], expected[~bare]
            note = f' ({bare.sum()} images without normals left out)'
        far = largest_difference(array, expected)
        good &= far <= tolerance
        shapes = '' if array.shape == expected.shape else f' shape {array.shape}, expected {expected.shape}'
        print(f'{name:18} {far:.2e} {"ok" if far <= tolerance else "TOO FAR"}{shapes}{note}')
    if not set(found) & set(golden):
        raise ValueError(f'golden.npz has none of the arrays {sorted(found)}')
    ignored = sorted(set(golden) - set(found) - {'images', 'class_id'})
    if ignored:
        print(f'not compared: {", ".join(ignored)}')
    return good


def main(arguments: list[str] | None = None) -> int:
    """Compare one folder; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('folder', type=Path)
    parser.add_argument('--tolerance', type=float, default=1e-4,
                        help='largest difference allowed (default 1e-4)')
    args = parser.parse_args(arguments)
    try:
        good = compare(args.folder, args.tolerance)
    except (ValueError, FileNotFoundError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print('within' if good else 'OUTSIDE', f'the tolerance of {args.tolerance:g}')
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
