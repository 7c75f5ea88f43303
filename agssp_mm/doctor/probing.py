"""Running the steps that may crash in child processes."""
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

STEPS = ('torch', 'torchvision', 'cv2', 'mmengine', 'mmcv', 'ops', 'mmdet', 'mmpretrain')
_SCRIPT = Path(__file__).with_name('steps.py')


def run_steps(names: Sequence[str] = STEPS, seconds: float = 300, script: Path = _SCRIPT) -> dict[str, dict[str, Any]]:
    """Run the steps, in one child process as long as none crashes; after a crash the rest goes on in another.

    Args:
        names: Steps of ``steps.py``, in order.
        seconds: How long a child process may take.
        script: Where the steps are.

    Returns:
        Step -> what it found; one that failed has ``error``, one line, and ``kind``: the type of the exception,
        "crash" or "timeout".
    """
    answers: dict[str, dict[str, Any]] = {}
    names = list(names)
    while names:
        answers.update(_run_child(names, seconds, script))
        names = [name for name in names if name not in answers]
    return answers


def _run_child(names: Sequence[str], seconds: float, script: Path) -> dict[str, dict[str, Any]]:
    # -P: the folder of the script is no place to import from
    command = [sys.executable, '-P', str(script), *names]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors='replace', timeout=seconds, check=False)
        lines, end = done.stdout.splitlines(), dict(error=_how_it_died(done.returncode, done.stderr), kind='crash')
    except subprocess.TimeoutExpired as error:
        lines = (error.stdout or b'').decode(errors='replace').splitlines()
        end = dict(error=f'still busy after {seconds:g} s', kind='timeout')
    answers = {}
    for line in lines:
        if line.startswith('{"step": '):
            answer = json.loads(line)
            answers[answer.pop('step')] = answer
    unfinished = [name for name in names if name not in answers]
    # A child that ends well answers every step; else the first without an answer is the one it died in.
    return {**answers, unfinished[0]: end} if unfinished else answers


def _how_it_died(status: int, stderr: str) -> str:
    how = f'killed by {signal.Signals(-status).name}' if status < 0 else f'exit status {status}'
    last = stderr.strip().splitlines()[-1:]
    return f'the process crashed ({how})' + (f': {last[0][:200]}' if last else '')
