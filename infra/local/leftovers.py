"""What a supervisor that was killed has left running."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from infra.local.processes import ProcessRecord, command_line, end_all, load_records, started_at

# Shutting down writes a checkpoint; a killed one is recovered at the next start anyway.
_PATIENCE_SECONDS = 5.0


def end_leftovers(records_path: Path, pgdatas: Sequence[Path]) -> list[ProcessRecord]:
    """End every process that an earlier supervisor of the same DATA left behind. Returns those that ran.

    The caller holds the lock of DATA, so no supervisor of these processes is alive.

    Args:
        records_path: what that supervisor wrote about its children.
        pgdatas: where the shards have their data directories, each with a lock file that names its postmaster.
    """
    ended = end_all(load_records(records_path), _PATIENCE_SECONDS)
    # A postmaster that was started after the last record was written.
    unrecorded = [record for pgdata in pgdatas if (record := _postmaster_of(pgdata))]
    ended += end_all(unrecorded, _PATIENCE_SECONDS)
    for pgdata in pgdatas:
        _remove_locks(pgdata)
    return ended


def _postmaster_of(pgdata: Path) -> ProcessRecord | None:
    lock = pgdata / "postmaster.pid"
    try:
        pid = int(lock.read_text(encoding="utf-8").splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
    started = started_at(pid)
    if started is None or f"-D {pgdata} " not in f"{command_line(pid)} ":
        return None
    return ProcessRecord("postgres", pgdata.parent.name, pid, started)


def _remove_locks(pgdata: Path) -> None:
    """Remove what names the pid of a postmaster that is gone.

    That pid may belong to another program today, or still to the dead postmaster when nobody has waited for it.
    PostgreSQL would take either for a running one and refuse to start. Sessions of a dead postmaster that still hold
    its shared memory are found by PostgreSQL without these files.
    """
    for lock in (pgdata / "postmaster.pid", *pgdata.parent.glob(".s.PGSQL.*")):
        lock.unlink(missing_ok=True)
