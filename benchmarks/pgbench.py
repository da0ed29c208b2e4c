"""A yardstick: pgbench writing the same row with the same statement, straight into one shard, one row a transaction."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from benchmarks.load import Measured
from benchmarks.postgres import postgres_program, run_psql

CLIENTS = 16
THREADS = 2

# pgbench cannot tell which players the shard owns, so it picks from a numbered list of them.
_PREPARE = """
create schema bench;
create table bench.owned as select row_number() over () as n, bucket, user_id, username from players;
alter table bench.owned add primary key (n);
vacuum analyze bench.owned;
select count(*) from bench.owned;
"""

_WRITE = """\
\\set n random(1, :owned)
\\set score random(0, 1000)
with made as materialized (select uuidv7() as id)
select r.outcome
from bench.owned as o, made as m, record_sessions(
    array[m.id], array[(extract(epoch from uuid_extract_timestamp(m.id)) * 1000)::bigint],
    array[o.bucket], array[o.user_id], array[o.username], array[:score::bigint], array['pgbench'], array[600],
    array[(extract(epoch from clock_timestamp()) * 1000000)::bigint], true
) as r
where o.n = :n;
"""

# By a game mode of its own: the service may still be finishing what came before.
_COUNT = "select count(*) from game_sessions where game_mode = 'pgbench'"


def measure_one_row_writes(direct_url: str, seconds: int) -> Measured:
    """One-row writes a second with prepared statements; latencies from pgbench's log of every transaction.

    Raises:
        RuntimeError: the rows that pgbench counted are not the rows that are there.
    """
    owned = run_psql(direct_url, _PREPARE).strip()
    try:
        before = int(run_psql(direct_url, _COUNT))
        with tempfile.TemporaryDirectory(prefix="shardboard-pgbench-") as directory:
            script, log = Path(directory) / "write.sql", Path(directory) / "log"
            script.write_text(_WRITE)
            options = ["--no-vacuum", "--protocol=prepared", f"--client={CLIENTS}", f"--jobs={THREADS}"]
            files = ["--log", f"--log-prefix={log}", f"--file={script}", f"--define=owned={owned}"]
            command = [str(postgres_program("pgbench")), *options, *files, f"--time={seconds}", direct_url]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            latencies_us = sorted(_read_latencies(Path(directory)))
        written = int(run_psql(direct_url, _COUNT)) - before
    finally:
        run_psql(direct_url, "drop schema bench cascade")
    count = len(latencies_us)
    if written != count:
        raise RuntimeError(f"pgbench counted {count} writes and {written} rows came in")
    p50, p99 = latencies_us[count // 2] / 1e3, latencies_us[count * 99 // 100] / 1e3
    return Measured(count, count / seconds, p50, p99)


def _read_latencies(directory: Path) -> list[int]:
    """The third column of the log of each thread: microseconds of one transaction."""
    lines = (line for file in directory.glob("log.*") for line in file.read_text().splitlines())
    return [int(line.split()[2]) for line in lines]
