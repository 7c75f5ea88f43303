"""All checks, in the order in which one thing stands on another."""
from pathlib import Path

from .compute import check_cuda, check_opencv, check_ops, check_python, check_torch
from .data import check_data
from .distributions import check_needs, check_openmmlab
from .finding import Finding
from .machine import check_disk, check_memory, check_shared_memory
from .probing import run_steps
from .weights import check_weights


def check_up(work_dir: Path = Path()) -> list[Finding]:
    """Look at everything; what can crash runs in child processes.

    Args:
        work_dir: Where runs will write.
    """
    steps = run_steps()
    findings = [check_python(), *check_torch(steps), check_opencv(steps), *check_openmmlab(steps), check_ops(steps),
                check_cuda(steps), *check_needs(), *check_weights(), check_disk(work_dir), check_memory(),
                check_shared_memory(), *check_data()]
    return [finding for finding in findings if finding is not None]
