"""Trainings as processes of their own, and the evaluation of what they leave."""
import contextlib
import ctypes
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from agssp_mm.engine.launch import load_config

from .lanes import ONE_AT_A_TIME, say, threads_of_a_lane

TOOLS = Path(__file__).resolve().parents[1]
LOG_NAME = 'train.log'
SECONDS_OF_SILENCE = 30
_NAMES = dict(mAP='coco/bbox_mAP', mAP50='coco/bbox_mAP_50')
_LIBC, _PR_SET_PDEATHSIG = ctypes.CDLL(None), 1  # prctl(2)
_PROGRESS = re.compile(r'Epoch\(train\)\s+\[(\d+)\]\[\s*(\d+)/(\d+)\].*?eta: (\S+).*?\sloss: (\S+)')


class TrainingError(RuntimeError):
    """A training ended with an error."""


def describe(config: Path, options: Mapping[str, Any]) -> str:
    """What a training depends on: its whole config with the options, as text without the demo's folder."""
    text = json.dumps(load_config(config, options).to_dict(), sort_keys=True, ensure_ascii=False)
    # only at the start of a value, so that a short name such as "." is not taken out of others
    return text.replace(f'"{os.environ["AGSSP_DEMO_DIR"]}', '"')


def train(config: Path, options: Mapping[str, Any], folder: Path, label: str = '') -> None:
    """Run ``tools/train.py --resume`` and show where it stands; its output goes to ``train.log``.

    A process of its own keeps one training from leaving anything behind for the next. It goes on from its
    newest checkpoint where there is one. With a label, which every line of progress begins with, it is one of
    several side by side, and takes a lane's share of the cores.

    Raises:
        TrainingError: If the training fails; with the last lines it wrote.
    """
    command = [sys.executable, str(TOOLS / 'train.py'), str(config), '--work-dir', str(folder), '--resume']
    if options:
        command += ['--cfg-options', *(f'{key}={value}' for key, value in options.items())]
    last_lines: deque[str] = deque(maxlen=20)
    environment = dict(os.environ, PYTHONUNBUFFERED='1')
    if label:
        environment.setdefault('OMP_NUM_THREADS', str(threads_of_a_lane()))
    with ONE_AT_A_TIME:
        max_epochs = load_config(config, options).train_cfg.max_epochs
    with open(folder / LOG_NAME, 'a', encoding='utf-8') as log, subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
            preexec_fn=_end_with_parent) as process:
        try:
            for line in _show_progress(process.stdout, max_epochs, label):
                log.write(line)
                last_lines.append(line)
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise TrainingError(f'the training {config.name} failed (exit status {process.returncode}); '
                            f'the end of {folder / LOG_NAME}:\n{"".join(last_lines)}')


def _end_with_parent() -> None:
    """Have the kernel end this process when the demo is killed, lest it writes on beside the next demo."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _show_progress(lines: Iterable[str], max_epochs: int, label: str = '') -> Iterator[str]:
    """Pass the lines on; say how far the training is, once per epoch and in long ones every half minute."""
    said, last = None, 0.0
    for line in lines:
        found = _PROGRESS.search(line)
        if found and (found[1] != said or time.monotonic() - last >= SECONDS_OF_SILENCE):
            said, last = found[1], time.monotonic()
            say(f'    {label}epoch {found[1]} of {max_epochs}, step {found[2]} of {found[3]}, loss {found[5]}, '
                f'{found[4]} left')
        yield line


def last_metrics(folder: Path) -> Mapping[str, float]:
    """What CocoMetric measured last in a training's folder, by its own names; empty if nothing was detected."""
    found: Mapping[str, float] = {}
    for path in sorted(folder.glob('*/vis_data/scalars.json')):
        for line in path.read_text(encoding='utf-8').splitlines():
            values = json.loads(line)
            found = values if _NAMES['mAP'] in values else found
    return found


def measure(config: Path, options: Mapping[str, Any], checkpoint: Path, folder: Path) -> dict[str, float]:
    """What a training measured at its end, or, where it was interrupted just then, what its checkpoint measures.

    Returns:
        ``mAP`` and ``mAP50`` of CocoMetric on the validation images, per cent.
    """
    metrics = last_metrics(folder)
    if not metrics:
        with ONE_AT_A_TIME:
            metrics = evaluate(config, options, checkpoint, folder)
    # CocoMetric returns nothing at all when there is not one detection
    return {short: 100 * metrics.get(name, 0.0) for short, name in _NAMES.items()}


def evaluate(config: Path, options: Mapping[str, Any], checkpoint: Path, folder: Path) -> Mapping[str, float]:
    """What CocoMetric measures of a checkpoint on the test images of a config, by its own names."""
    from mmengine.runner import Runner
    cfg = load_config(config, options, folder)
    cfg.load_from, cfg.resume = str(checkpoint), False
    # two runners of one process must not share a logger
    cfg.experiment_name = f'evaluate-{folder.resolve()}'.replace(os.sep, '-')
    cfg.log_level = 'ERROR'
    with _quiet():
        return Runner.from_cfg(cfg).test()


def detect(config: Path, checkpoint: Path, images: list[str]) -> list[Any]:
    """Detections of one model: per image an ``InstanceData`` with bboxes, labels and scores."""
    with _quiet():
        from mmdet.apis import inference_detector, init_detector
        model = init_detector(load_config(config), str(checkpoint), device='cpu')
        found = inference_detector(model, images)
    return [sample.pred_instances.numpy() for sample in found]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the frameworks print and warn of from the demo's own lines; errors still show."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield
