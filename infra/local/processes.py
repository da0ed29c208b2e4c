"""Processes known by more than their number: a pid is used again, a pid with its start time is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.local.files import read_json, write_private_json

_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """One process that belongs to a cluster. `started` is what the system says of its start, and None if unknown."""

    role: str
    name: str
    pid: int
    started: str | None


def started_at(pid: int) -> str | None:
    """What tells this process from any other that ever has the same pid on this machine; None when it is gone."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
            boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except OSError:
            return None
        # The command's name stands in parentheses and may hold anything; state and start time are counted after it.
        fields = stat[stat.rindex(b")") + 2 :].split()
        return None if fields[0] in (b"Z", b"X") else f"{boot_id}/{fields[19].decode()}"
    return _ask_ps(pid, "lstart")


def command_line(pid: int) -> str:
    """The command of a running process, empty when it is gone."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    return _ask_ps(pid, "command") or ""


def save_records(path: Path, records: list[ProcessRecord]) -> None:
    """Keep `records` for the supervisor that comes after this one."""
    write_private_json(path, [asdict(record) for record in records])


def load_records(path: Path) -> list[ProcessRecord]:
    """The records kept last, none when there are none."""
    return [ProcessRecord(**kept) for kept in read_json(path) or []]


def is_running(record: ProcessRecord) -> bool:
    """Whether this very process still runs."""
    return record.started is not None and started_at(record.pid) == record.started


def end_all(records: list[ProcessRecord], patience_seconds: float) -> list[ProcessRecord]:
    """End those of `records` that still run, gently at first. Returns the ones that ran."""
    running = [record for record in records if is_running(record)]
    for record in running:
        # To PostgreSQL SIGINT says: shut down fast, do not wait for the clients.
        _send(record, signal.SIGINT if record.role in ("postgres", "replica") else signal.SIGTERM)
    if not _all_gone(running, patience_seconds):
        for record in running:
            _send(record, signal.SIGKILL)
        _all_gone(running, patience_seconds)
    return running


def _send(record: ProcessRecord, number: signal.Signals) -> None:
    if is_running(record):
        try:
            os.kill(record.pid, number)
        except ProcessLookupError:
            return


def _all_gone(records: list[ProcessRecord], seconds_max: float) -> bool:
    deadline = time.monotonic() + seconds_max
    while any(is_running(record) for record in records):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _ask_ps(pid: int, column: str) -> str | None:
    shown = subprocess.run(
        ["ps", "-o", f"{column}=", "-p", str(pid)], capture_output=True, text=True, check=False, timeout=10
    )
    return shown.stdout.strip() or None
