"""Load over HTTP: one run of wrk with one of the Lua scripts beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.cpu import read_cpu_seconds

SCRIPTS = Path(__file__).parent / "wrk"
CONNECTIONS = 64
# One thread of wrk drives 64 connections with half a core; a second one only takes turns with the servers.
THREADS = 1


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run found.

    `failed` are answers that were not what was asked for, lost connections included. `cpu_us` is the processor time of
    one request by role, where the target named its processes.
    """

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    failed: int = 0
    first_failure: str = ""
    cpu_us: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """Whom the load goes to.

    `players` is the file that benchmarks/cluster.py writes, `pids` the processes of each role that answer it.
    """

    url: str
    players: Path
    key: str | None = None
    ask_for_rank: bool = True
    pids: Mapping[str, Sequence[int]] = field(default_factory=dict)


def find_wrk() -> str:
    """The wrk program.

    Raises:
        SystemExit: it is not installed.
    """
    found = shutil.which("wrk")
    if found is None:
        raise SystemExit("wrk is not installed; run `apt-get install wrk` or `brew install wrk`")
    return found


def measure(target: Target, script: str, seconds: int, warm_up_seconds: int = 2) -> Measured:
    """Warm up while looking at every answer, then measure for `seconds` looking at the status alone.

    Reading each body in Lua halves what wrk can send, so the measured part leaves it out.
    """
    checked = _run(target, script, warm_up_seconds, check=True)
    before = read_cpu_seconds(target.pids)
    measured = _run(target, script, seconds, check=False)
    spent = read_cpu_seconds(target.pids)
    cpu_us = {role: (spent[role] - before[role]) / max(measured.requests, 1) * 1e6 for role in spent}
    failed = measured.failed + checked.failed
    return replace(measured, failed=failed, first_failure=checked.first_failure, cpu_us=cpu_us)


def _run(target: Target, script: str, seconds: int, *, check: bool) -> Measured:
    environment = os.environ | {"BENCH_PLAYERS": str(target.players)}
    if target.key:
        environment["BENCH_KEY"] = target.key
    if check:
        environment["BENCH_CHECK"] = "1"
    if not target.ask_for_rank:
        environment["BENCH_RANKLESS"] = "1"
    options = [f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "--script", f"{script}.lua"]
    answer = subprocess.run(
        [find_wrk(), *options, target.url],
        cwd=SCRIPTS,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 60,
    )
    line = next(line for line in answer.stdout.splitlines() if line.startswith("measured\t"))
    return parse_line(line, checked=check)


def parse_line(line: str, *, checked: bool) -> Measured:
    """What `done` in wrk/common.lua wrote.

    Args:
        checked: whether answers were looked at; then a bad status is among the wrong ones already.
    """
    fields = line.split("\t")
    requests, duration_us, p50_us, p99_us, lost, bad_status, _, wrong = map(int, fields[1:9])
    failed = lost + (wrong if checked else bad_status)
    return Measured(requests, requests / duration_us * 1e6, p50_us / 1e3, p99_us / 1e3, failed, fields[9])
