#!/usr/bin/env python3
"""Does the pretraining pay? tools/benchmarks/transfer.py --dataset neu_det --store MAPS --out RESULTS.jsonl ...

Fine-tunes one detector from several initialisations, side by side over label sets and seeds, and appends one JSON line
per finished fine-tuning; whatever is there already is not run again, and what was interrupted goes on. The pretraining
sees images of train only, without their labels; with --split dev those of dev are left out of it. `oracle` is AGDP on
the true boxes without their classes: a ceiling, never a result. `--summary RESULTS.jsonl ...` prints the table.
"""
import argparse
import hashlib
import json
import os
import sys
import time
from pathlib import Path


sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the demo's parts train and pair by seeds too

from transfer_parts.curve import draw_curve  # noqa: E402
from transfer_parts.grid import INITS, RECIPES, Run, make_grid, options_of  # noqa: E402
from transfer_parts.leaks import check_apart, check_names, check_unseen  # noqa: E402
from transfer_parts.records import append_line, is_done, read_lines, versions  # noqa: E402
from transfer_parts.stages import Bench, check_configs, count_images, finetune, metrics_of, pretrain  # noqa: E402
from transfer_parts.summary import format_summary  # noqa: E402

from agssp_mm.checkpoints.reading import sha256  # noqa: E402
from agssp_mm.cli import run_command  # noqa: E402
from agssp_mm.commands.settings_action import SettingsAction  # noqa: E402
from agssp_mm.files import write_atomically  # noqa: E402
from agssp_mm.images import list_images  # noqa: E402

PAGE_HEAD = '''# Transfer results

Made by `tools/benchmarks/transfer.py --summary` from the lines in `docs/results`; not edited by hand. Mean and
standard deviation over the seeds, paired differences to the best ImageNet row with their 95 % intervals (Student's t),
over the seeds that both have, and in the last columns to the ImageNet row of as many epochs. `oracle` is the same AGDP
on the true boxes without their classes: a ceiling, never a result.
'''
TRAIN_FOLDER = 'images/train/'
SUMMARY = 'fine-tune from several initialisations and compare them'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('--summary', nargs='+', type=Path, metavar='JSONL', help='print the table of these lines only')
    parser.add_argument('--curve', type=Path, metavar='PICTURE',
                        help='with --summary: draw the label-efficiency curve')
    parser.add_argument('--page', type=Path, metavar='MARKDOWN',
                        help='with --summary: write the table to this file too')
    parser.add_argument('--time-limit', type=float, metavar='MINUTES',
                        help='start no run that would probably not end within this time')
    parser.add_argument('--dataset', default='neu_det', help='folder below AGSSP_DATA_ROOT (default neu_det)')
    parser.add_argument('--store', type=Path, help='map store of the images of train (not for random, imagenet, coco)')
    parser.add_argument('--out', type=Path, help='file that the lines are appended to')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/transfer'), help='folder of the trainings')
    parser.add_argument('--detector', default='retinanet_efficientnet-lite0', help='folder below configs/agssp')
    parser.add_argument('--init', nargs='+', default=['imagenet', 'agssp'], help=f'of {", ".join(INITS)}')
    parser.add_argument('--recipe', default='trained', help=f"AGDP's backbone, {' or '.join(RECIPES)} (default "
                        'trained); a label after a plus keeps rows with other options apart, and +roundN '
                        'trains N times, each after the first on what the detector before it finds')
    parser.add_argument('--image-size', type=int, default=256, metavar='PIXELS', help='in all stages (default 256)')
    parser.add_argument('--amp', action='store_true', help='mixed precision in all stages (bfloat16 on a CPU)')
    parser.add_argument('--labels', nargs='+', default=['train_10pct'], help='annotation files to learn from')
    parser.add_argument('--split', default='dev', help='annotation file to measure on (default dev)')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--pretrain-seeds', nargs='+', type=int, default=[0])
    parser.add_argument('--epochs', type=int, default=60, help='of the fine-tuning (default 60, as in the configs)')
    parser.add_argument('--coco', help='checkpoint for the initialisation coco')
    for kind, meant in (('pretrain', 'both stages'), ('agdp', 'AGDP alone'), ('finetune', 'the fine-tuning')):
        parser.add_argument(f'--{kind}-options', nargs='+', action=SettingsAction, default={}, metavar='KEY=VALUE',
                            help=f'settings that go before the configs of {meant}')
    parser.add_argument('--dry-run', action='store_true', help='check everything and list what would run')


def run(args: argparse.Namespace) -> int:
    """Run the grid, or print the table."""
    if args.summary:
        gone = [str(path) for path in args.summary if not path.is_file()]
        if gone:
            raise FileNotFoundError(f'--summary: {", ".join(gone)} is no file; give files that --out wrote')
        summarise(read_lines(args.summary), args.curve, args.page)
        return 0
    if args.curve or args.page:
        raise ValueError('--curve and --page go with --summary JSONL')
    bench = prepare(args)
    runs = make_grid(args.init, args.labels, args.seeds, args.pretrain_seeds, dataset=args.dataset, split=args.split,
                     detector=args.detector, recipe=args.recipe, epochs=args.epochs, image_size=args.image_size,
                     amp=args.amp)
    for one in runs:
        check_configs(one)
    lines = read_lines([args.out])
    left = [one for one in runs if not is_done(one, lines, options_of(one, bench.options))]
    print(f'{len(runs)} runs, {len(runs) - len(left)} of them done', flush=True)
    start = time.monotonic()
    for number, one in enumerate(left, 1):
        if args.time_limit and _too_late(args.time_limit, time.monotonic() - start, number - 1):
            print(f'{len(left) - number + 1} runs are left; the time limit of {args.time_limit:g} minutes is near')
            break
        print(f'[{number}/{len(left)}] {one.name}', flush=True)
        if not args.dry_run:
            measure(bench, one, args.out)
            pace = (time.monotonic() - start) / number
            print(f'    {pace / 60:.1f} minutes a run, {pace * (len(left) - number) / 60:.0f} minutes left', flush=True)
    return 0


def summarise(lines: list[dict], curve: Path | None, page: Path | None) -> None:
    """Print the table; write it and the curve where that is asked for."""
    table = format_summary(lines)
    print(table)
    if curve:
        draw_curve(lines, curve)
    if page:
        page.parent.mkdir(parents=True, exist_ok=True)
        picture = f'\n![labelled images against mAP50]({os.path.relpath(curve, page.parent)})\n' if curve else ''
        with write_atomically(page) as file:
            file.write(f'{PAGE_HEAD}\n{table}\n{picture}'.encode())


def _too_late(limit: float, seconds: float, done: int) -> bool:
    """Whether the next run, if it takes as long as those before it did, would end after the limit of minutes."""
    return seconds + seconds / max(done, 1) > 60 * limit


def prepare(args: argparse.Namespace) -> Bench:
    """Check the settings and the data before the first training.

    Raises:
        FileNotFoundError: If data, store or checkpoint are missing.
        ValueError: If an option is missing, or the evaluation leaks into the pretraining or the labels.
    """
    if args.out is None:
        raise ValueError('give --out, the file that the result lines are appended to, or --summary')
    data_root = Path(os.environ.get('AGSSP_DATA_ROOT', 'data')) / args.dataset
    for name in ('train', args.split, *args.labels):
        if not (data_root / 'annotations' / f'{name}.json').is_file():
            raise FileNotFoundError(f'there is no {data_root}/annotations/{name}.json; set AGSSP_DATA_ROOT to the '
                                    'folder that holds the data sets, and check --labels and --split')
    if ('coco' in args.init) != bool(args.coco):
        raise ValueError('the initialisation coco needs --coco FILE, and --coco needs that initialisation')
    pretrains = set(args.init) & {'agbp', 'agdp', 'agssp'}
    if pretrains and not (args.store and (args.store / 'maps.json').is_file()):
        raise FileNotFoundError(f'{", ".join(sorted(pretrains))} need --store, a map store of the images of train '
                                f'(tools/generate_maps.py makes it); got {args.store}')
    check_names(data_root / 'annotations' / 'train.json')
    split_folder, names = _split_names(data_root, args.split)
    if split_folder == TRAIN_FOLDER:
        for labels in args.labels:
            check_apart(*(data_root / 'annotations' / f'{name}.json' for name in (labels, args.split)))
    args.work_dir.mkdir(parents=True, exist_ok=True)
    listed = args.work_dir / f'{args.dataset}-{args.split}-pretraining.txt'
    with write_atomically(listed) as file:
        file.write(''.join(f'{name}\n' for name in names).encode())
    image_root = data_root / 'images' / 'train'
    check_unseen(list_images(listed, image_root),
                 list_images(data_root / 'annotations' / f'{args.split}.json', data_root / split_folder))
    return Bench(data_root.resolve(), args.work_dir, args.store or Path('none'), listed.resolve(), image_root.resolve(),
                 dict(pretrain=args.pretrain_options, agdp=args.agdp_options, finetune=args.finetune_options),
                 split_folder, args.coco)


def _split_names(data_root: Path, split: str) -> tuple[str, list[str]]:
    """Image folder of a split, and the images of train that the pretraining may see."""
    train, other = ({image['file_name'] for image in json.loads((data_root / 'annotations' / f'{name}.json').read_text(
        encoding='utf-8'))['images']} for name in ('train', split))
    apart = (data_root / 'images' / split).is_dir()
    folder = data_root / 'images' / 'train'
    everything = {entry.name for entry in list_images(folder)}
    if not apart and not other <= train:
        raise ValueError(f'{split} has no folder images/{split} of its own, and {len(other - train)} of its images are '
                         'not in train')
    return f'images/{split}/' if apart else TRAIN_FOLDER, sorted(everything if apart else everything - other)


def measure(bench: Bench, one: Run, out: Path) -> None:
    """Pretrain where it is needed, fine-tune, and append the line."""
    started = time.monotonic()
    weights = pretrain(bench, one)
    folder = finetune(bench, one, weights)
    config = (folder / 'config.py').read_text(encoding='utf-8')
    append_line(out, one, metrics=metrics_of(folder), num_labels=count_images(bench, one),
                options=options_of(one, bench.options),
                config=f'{one.detector}/{one.detector}_imagenet.py', seconds=round(time.monotonic() - started, 1),
                config_sha256=hashlib.sha256(config.encode()).hexdigest(), weights_sha256=weights and sha256(weights),
                data_fingerprint=list_images(bench.names, bench.image_root).fingerprint(), versions=versions())


if __name__ == '__main__':
    sys.exit(run_command(sys.modules[__name__], 'transfer.py'))
