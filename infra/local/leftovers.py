"""What a supervisor that was killed has left running."""

from __future__ import annotations

from pathlib import Path

from infra.local.processes import ProcessRecord, command_line, end_all, load_records, started_at

# Shutting down writes a checkpoint; a killed one is recovered at the next start anyway.
_PATIENCE_SECONDS = 5.0


def end_leftovers(records_path: Path, pgdatas: list[Path]) -> list[ProcessRecord]:
    """End every process that an earlier supervisor of the same DATA left behind. Returns those that ran.

    The caller holds the lock of DATA, so no supervisor of these processes is alive.

    Args:
        records_path: what that supervisor wrote about its children.
        pgdatas: the data directories of the shards, each with a lock file that names its postmaster.
    """
    ended = end_all(load_records(records_path), _PATIENCE_SECONDS)
    # A postmaster that was started after the last record was written.
    unrecorded = [record for pgdata in pgdatas if (record := _postmaster_of(pgdata))]
    return ended + end_all(unrecorded, _PATIENCE_SECONDS)


def _postmaster_of(pgdata: Path) -> ProcessRecord | None:
    lock = pgdata / "postmaster.pid"
    try:
        pid = int(lock.read_text(encoding="utf-8").splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
    started = started_at(pid)
    if started is None:
        return None
    if str(pgdata) not in command_line(pid):
        # Another program has this pid today. PostgreSQL would take it for the postmaster and refuse to start;
        # sessions of a dead postmaster that still hold its shared memory are found by PostgreSQL without this file.
        lock.unlink()
        return None
    return ProcessRecord("postgres", pgdata.parent.name, pid, started)
