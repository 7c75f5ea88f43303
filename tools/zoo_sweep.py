#!/usr/bin/env python
"""Put every family of MMDetection's box detectors through the pretraining and write docs/supported_detectors.md.

Each family runs in a process of its own, with limits of time and memory. Results are appended to a file of JSON lines
as they come: a sweep that was stopped goes on, and what code of the recipes has changed since is run again.
"""
import argparse
import hashlib
import importlib
import json
import multiprocessing
import os
import resource
import runpy
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import TASK_UTILS
from zoo.report import passes, write_report

from agssp_mm.cli import run_command
from agssp_mm.datasets.synthetic import make_dataset
from agssp_mm.files import write_atomically
from agssp_mm.images import list_images
from agssp_mm.maps.generate import generate_maps
from agssp_mm.version import __version__

SUMMARY = 'try the pretraining on every family of box detectors in MMDetection'
ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / 'tools' / 'zoo' / 'families.json'
ONE_FAMILY = ROOT / 'tools' / 'zoo' / 'one_family.py'
BAR = 0.95
_CODE = ('agssp_mm/recipes/*.py', 'tools/zoo/one_family.py', 'tools/zoo/language_model.py')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/zoo'),
                        help='folder for data, logs and results (default work_dirs/zoo)')
    parser.add_argument('--families', nargs='+', metavar='NAME', help='only these')
    parser.add_argument('--again', choices=('failed', 'all'), help='run these again, though their results are there')
    parser.add_argument('--any-code', action='store_true', help='keep results made by other code of the recipes')
    parser.add_argument('--time-limit', type=float, default=900, metavar='SECONDS', help='per family (default 900)')
    parser.add_argument('--memory-limit', type=float, default=12, metavar='GIB', help='per family (default 12)')
    parser.add_argument('--report', type=Path, default=ROOT / 'docs' / 'supported_detectors.md',
                        help='page to write (default docs/supported_detectors.md)')


def run(args: argparse.Namespace) -> int:
    """Run what is missing, write the page; 1 if fewer families pass than the bar asks for."""
    listed = json.loads(LIST.read_text(encoding='utf-8'))
    known = {one['family'] for one in listed['families']}
    unknown = sorted(set(args.families or ()) - known)
    if unknown:
        raise ValueError(f'--families: there are no {", ".join(unknown)}; {LIST} names {", ".join(sorted(known))}')
    data = make_data(args.work_dir.resolve() / 'data')
    results = read_results(args.work_dir / 'results.jsonl', None if args.any_code else fingerprint())
    wanted = [one for one in listed['families'] if not args.families or one['family'] in args.families]
    todo = [one for one in wanted if must_run(results.get(one['family']), args.again)]
    _import_mmdet()
    started = time.monotonic()
    for number, one in enumerate(todo, start=1):
        result = run_family(one, data, args.work_dir.resolve(), args.time_limit, args.memory_limit)
        results[one['family']] = result
        with (args.work_dir / 'results.jsonl').open('a', encoding='utf-8') as file:
            file.write(json.dumps(result) + '\n')
        left = (time.monotonic() - started) / number * (len(todo) - number)
        print(f'[{number}/{len(todo)}, {left / 60:.0f} min left] {describe(result)}', flush=True)
    import mmdet
    page = write_report(listed['families'], listed['excluded'], results, mmdet.__version__)
    with write_atomically(args.report) as file:
        file.write(page.encode())
    passed = sum(passes(results[one['family']]) for one in listed['families'] if one['family'] in results)
    print(f'{passed} of {len(known)} families pass every step: {args.report}')
    return 0 if passed >= BAR * len(known) else 1


def _import_mmdet() -> None:
    """Import once what every family needs."""
    torch.set_num_threads(1)  # a copy of a process has none of its threads
    for part in ('datasets', 'engine', 'evaluation', 'models', 'visualization'):
        importlib.import_module(f'mmdet.{part}')


def make_data(folder: Path) -> Path:
    """Two made images with defects and their maps; returns their folder."""
    if not (folder / 'maps' / 'maps.json').is_file():
        make_dataset(folder, num_images=2, size=128, seed=3, clean_share=0.0)
        generate_maps(list_images(folder / 'images'), TASK_UTILS.build(dict(type='TextureTeacher')), folder / 'maps')
    return folder


def fingerprint() -> str:
    """Digest of the code that the results depend on."""
    digest = hashlib.sha256()
    for pattern in _CODE:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def commit() -> str:
    """Version and commit of this checkout, for the page; the version alone where git does not know it."""
    git = ['git', '-C', str(ROOT)]
    try:
        head = subprocess.run([*git, 'rev-parse', '--short=12', 'HEAD'], check=True, capture_output=True, text=True)
        # A page of the sweep itself is no change of the code.
        changed = subprocess.run([*git, 'status', '--porcelain', '--', 'agssp_mm', 'tools'], check=True,
                                 capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return __version__
    return f'{__version__}, commit {head.stdout.strip()}{" with changes" if changed.stdout.strip() else ""}'


def read_results(path: Path, code: str | None) -> dict[str, dict[str, Any]]:
    """Results per family, the newest of each; of one state of the code, or of any."""
    lines = path.read_text(encoding='utf-8').splitlines() if path.is_file() else []
    results: dict[str, dict[str, Any]] = {}
    for line in lines:
        try:
            result = json.loads(line)
        except json.JSONDecodeError:
            continue  # the end of a sweep that was killed while writing
        if code is None or result['code'] == code:
            results[result['family']] = result
    return results


def must_run(result: dict[str, Any] | None, again: str | None) -> bool:
    """Whether a family is run, given its result and ``--again``."""
    return result is None or again == 'all' or (again == 'failed' and not passes(result))


def run_family(family: dict[str, Any], data: Path, work_dir: Path, seconds: float, gibibytes: float) -> dict[str, Any]:
    """Run one family in a process of its own; returns its result, also when it was killed."""
    folder = work_dir / family['family']
    result, log = work_dir / f'{family["family"]}.json', work_dir / f'{family["family"]}.log'
    result.unlink(missing_ok=True)
    arguments = [family['config'], str(data), str(folder), str(result)]
    started = time.monotonic()
    # A copy of this process: what MMDetection imports takes as long as the rest, and is there already.
    process = multiprocessing.get_context('fork').Process(target=_in_child, args=(arguments, log, gibibytes))
    process.start()
    try:
        process.join(seconds)
        status = process.exitcode if process.exitcode is not None else f'stopped after {seconds:.0f} s'
    finally:
        process.kill()
        process.join()
    found = json.loads(result.read_text()) if result.is_file() else dict(steps={'derive': f'exit status {status}'})
    for checkpoint in folder.rglob('*.pth'):
        checkpoint.unlink()
    return dict(found, family=family['family'], config=family['config'], code=fingerprint(), commit=commit(),
                status=status, seconds=round(time.monotonic() - started, 1))


def _in_child(arguments: list[str], log: Path, gibibytes: float) -> None:
    with log.open('wb') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    _limit_memory(gibibytes)
    sys.argv = [str(ONE_FAMILY), *arguments]
    sys.path.insert(0, str(ONE_FAMILY.parent))
    runpy.run_path(str(ONE_FAMILY), run_name='__main__')


def _limit_memory(gibibytes: float) -> None:
    limit = int(gibibytes * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def describe(result: dict[str, Any]) -> str:
    """One line on a result."""
    if passes(result):
        return f'{result["family"]}: passes ({result["seconds"]:.0f} s)'
    step, reason = list(result['steps'].items())[-1]
    return f'{result["family"]}: fails at {step}: {reason}'


if __name__ == '__main__':
    sys.exit(run_command(sys.modules[__name__], 'zoo_sweep.py'))
