"""Who spends the processor's time: by role, children included."""

from __future__ import annotations

import resource
from collections.abc import Mapping, Sequence

import psutil

GENERATOR = "wrk"


def read_cpu_seconds(pids: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """Processor seconds that the processes of each role have used so far, and the load generators that have ended.

    A process that has ended counts with the one that started and awaited it, such as a Postgres backend (on Linux; the
    service's pools keep theirs).
    """
    spent = {role: sum(map(_seconds_of_tree, group)) for role, group in pids.items()}
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent | {GENERATOR: children.ru_utime + children.ru_stime}


def _seconds_of_tree(pid: int) -> float:
    try:
        root = psutil.Process(pid)
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    return sum(map(_seconds_of, processes))


def _seconds_of(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)
