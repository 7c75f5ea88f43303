"""Trainings side by side: small ones fill the cores better as several processes of few threads than one by one."""
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any

Job = Callable[[], Any]
# MMEngine's configs and scopes, and what keeps its runners quiet, belong to the whole process.
ONE_AT_A_TIME = threading.RLock()


def say(line: str) -> None:
    """Print a line in one piece, and not while another lane keeps its runner quiet."""
    with ONE_AT_A_TIME:
        print(f'{line}\n', end='', flush=True)


def count_lanes() -> int:
    """How many trainings run at a time: two, where this process may use two cores."""
    return min(2, len(os.sched_getaffinity(0)))


def threads_of_a_lane() -> int:
    """Threads for each of them."""
    return max(1, len(os.sched_getaffinity(0)) // count_lanes())


def run_in_lanes(chain: Sequence[Job], beside: Iterable[Job], after: Iterable[Job], lanes: int) -> None:
    """Run the chain one by one, some jobs beside it, others once it is done.

    After an error nothing new starts, what runs goes on to its end, and then the first error is raised.

    Args:
        chain: Each needs the one before it.
        beside: Need nothing; they start in this order.
        after: Need the whole chain; they start in this order, after those beside.
        lanes: Jobs at a time.
    """
    failed = threading.Event()
    with ThreadPoolExecutor(lanes) as pool:
        chained = pool.submit(_run_all, chain, failed)
        jobs = [chained, *(pool.submit(_run_all, [job], failed) for job in beside)]
        # The chain was handed in first: a job that waits for it holds a lane, but never the lane of the chain.
        jobs += [pool.submit(_run_all, [chained.result, job], failed) for job in after]
        try:
            wait(jobs, return_when=FIRST_EXCEPTION)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    for job in jobs:
        if not job.cancelled():
            job.result()


def _run_all(jobs: Sequence[Job], failed: threading.Event) -> None:
    """One by one, until one fails here or in another lane."""
    for job in jobs:
        if failed.is_set():
            return
        try:
            job()
        except BaseException:
            failed.set()
            raise
