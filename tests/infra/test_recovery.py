"""After the worst: what was committed is there again, and nothing that does not belong to the cluster was touched."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from infra.local.leftovers import end_leftovers
from infra.local.processes import ProcessRecord, is_running, save_records, started_at
from tests.conftest import MakeCluster
from tests.infra.clusters import is_alive, read_cluster_file, supervised
from tests.waiting import until


def shards_of(data: Path) -> list[dict[str, Any]]:
    shards: list[dict[str, Any]] = read_cluster_file(data)["shards"]
    return shards


async def write_rows(shards: list[dict[str, Any]]) -> None:
    for shard in shards:
        connection = await asyncpg.connect(shard["direct_url"])
        await connection.execute("create table acknowledged as select generate_series(1, 1000) as n")
        await connection.close()


async def count_rows(shards: list[dict[str, Any]]) -> list[int]:
    counts = []
    for shard in shards:
        connection = await asyncpg.connect(shard["direct_url"])
        counts.append(await connection.fetchval("select count(*) from acknowledged"))
        await connection.close()
    return counts


async def test_all_killed_at_once(make_cluster: MakeCluster, tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with supervised(data, 2) as supervisor:
        await write_rows(shards_of(data))
        family = supervisor.children(recursive=True)
        for process in [supervisor, *family]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        await until(lambda: not any(is_alive(process) for process in family))

    async with make_cluster(shard_count=2, data=data):
        assert await count_rows(shards_of(data)) == [1000, 1000]


async def test_all_that_cluster_json_names_is_killed_while_sessions_are_busy(
    make_cluster: MakeCluster, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    async with supervised(data, 2) as supervisor:
        await write_rows(shards_of(data))
        connection = await asyncpg.connect(shards_of(data)[0]["direct_url"])
        busy = asyncio.create_task(connection.fetchval("select count(*) from generate_series(1, 5000000)"))
        await until(lambda: any("SELECT" in " ".join(p.cmdline()) for p in supervisor.children(recursive=True)))
        for process in read_cluster_file(data)["processes"]:
            with suppress(ProcessLookupError):
                os.kill(process["pid"], signal.SIGKILL)

    async with make_cluster(shard_count=2, data=data):
        assert await count_rows(shards_of(data)) == [1000, 1000]
    await asyncio.wait([busy])
    connection.terminate()


async def test_a_killed_supervisor_leaves_nothing_that_the_next_one_cannot_end(
    make_cluster: MakeCluster, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    async with supervised(data, 2) as supervisor:
        await write_rows(shards_of(data))
        family = supervisor.children(recursive=True)
        supervisor.kill()

    async with make_cluster(shard_count=2, data=data):
        assert [process for process in family if is_alive(process)] == []
        assert await count_rows(shards_of(data)) == [1000, 1000]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start ends them")
async def test_on_linux_children_die_with_their_supervisor(tmp_path: Path) -> None:
    async with supervised(tmp_path / "data", 2) as supervisor:
        family = supervisor.children(recursive=True)
        supervisor.kill()
        await until(lambda: not any(is_alive(process) for process in family))


async def test_sigterm_to_a_supervisor_that_does_not_handle_it_is_no_worse_than_a_kill(
    make_cluster: MakeCluster, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    async with supervised(data, 2) as supervisor:
        await write_rows(shards_of(data))
        supervisor.terminate()
    async with make_cluster(shard_count=2, data=data):
        assert await count_rows(shards_of(data)) == [1000, 1000]


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A running process whose command names the directory `tmp_path/shard1/postgres`."""
    directory = str(tmp_path / "shard1/postgres")
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()", "-D", directory]) as process:
        yield process
        process.kill()


def record_of(process: subprocess.Popen[bytes], started: str | None) -> ProcessRecord:
    return ProcessRecord("api", "api1", process.pid, started)


def test_a_recorded_process_is_ended(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    record = record_of(sleeper, started_at(sleeper.pid))
    save_records(tmp_path / "processes.json", [record])
    assert is_running(record)
    assert end_leftovers(tmp_path / "processes.json", []) == [record]
    assert not is_running(record)
    assert sleeper.wait(10) == -signal.SIGTERM


@pytest.mark.parametrize("started", ["another boot/12345", None])
def test_another_process_with_a_recorded_pid_is_left_alone(
    tmp_path: Path, sleeper: subprocess.Popen[bytes], started: str | None
) -> None:
    save_records(tmp_path / "processes.json", [record_of(sleeper, started)])
    assert end_leftovers(tmp_path / "processes.json", []) == []
    assert sleeper.poll() is None


def postmaster_lock(tmp_path: Path, shard: str, pid: int) -> Path:
    pgdata = tmp_path / shard / "postgres"
    pgdata.mkdir(parents=True)
    (pgdata / "postmaster.pid").write_text(f"{pid}\n{pgdata}\n")
    return pgdata


def test_an_unrecorded_postmaster_is_ended(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    pgdata = postmaster_lock(tmp_path, "shard1", sleeper.pid)
    ended = end_leftovers(tmp_path / "processes.json", [pgdata])
    assert [(record.role, record.name, record.pid) for record in ended] == [("postgres", "shard1", sleeper.pid)]
    assert sleeper.wait(10) != 0


def test_another_process_with_the_pid_of_a_postmaster_is_left_alone(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    pgdata = postmaster_lock(tmp_path, "shard2", sleeper.pid)
    assert end_leftovers(tmp_path / "processes.json", [pgdata]) == []
    assert sleeper.poll() is None
    assert not (pgdata / "postmaster.pid").exists()


async def test_postgres_starts_although_its_old_pid_is_in_use(make_cluster: MakeCluster, tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with make_cluster(data=data):
        pass
    lock = data / "shard1/postgres/postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{lock.parent}\n1795449621\n")
    async with make_cluster(data=data) as cluster:
        assert cluster.child("postgres").pid != os.getpid()
