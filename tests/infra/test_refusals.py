"""What cannot be started says so in one line and changes nothing."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from domain.errors import OperatorError
from infra.local.cluster import LocalCluster
from infra.local.ports import is_free
from tests.conftest import MakeCluster
from tests.infra.clusters import everything_in, refusal_of


async def test_a_taken_port_is_named_with_the_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refusal = await refusal_of(LocalCluster(tmp_path / "data", 1, port=port))
    said, _, other = refusal.rpartition("=")
    assert said == f"port {port} is taken by another program; choose another one: make up PORT"
    assert is_free(int(other))


async def test_a_port_that_processes_share_is_taken_too(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = taken.getsockname()[1]
        refusal = await refusal_of(LocalCluster(tmp_path / "data", 1, port=port))
    assert refusal.startswith(f"port {port} is taken")


async def test_another_number_of_shards_is_refused(make_cluster: MakeCluster, tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with make_cluster(shard_count=1, data=data):
        pass
    before = everything_in(data)
    assert await refusal_of(LocalCluster(data, 2)) == (
        f"{data} holds 1 shard, not 2; nothing was changed. Start it with SHARDS=1; while it runs, "
        "`shardboard shards add NAME --local` adds one"
    )
    assert everything_in(data) == before


async def test_one_supervisor_for_one_data(make_cluster: MakeCluster) -> None:
    async with make_cluster() as cluster:
        pids = [child.pid for child in cluster.children]
        refusal = await refusal_of(LocalCluster(cluster.data, 1))
        assert refusal == (
            f"{cluster.data} is in use: a cluster runs on it already, under process {os.getpid()}; stop that one "
            "first, or choose another DATA and PORT"
        )
        assert [child.pid for child in cluster.children] == pids


async def test_a_directory_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    before = everything_in(tmp_path), tmp_path.stat().st_mode
    refusal = await refusal_of(LocalCluster(tmp_path, 1))
    assert refusal == f"{tmp_path} is not empty and holds no cluster (but thesis.tex): choose another DATA directory"
    assert (everything_in(tmp_path), tmp_path.stat().st_mode) == before


async def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGBOUNCER", "no-such-bouncer")
    assert (await refusal_of(LocalCluster(tmp_path / "data", 1))).startswith("PGBOUNCER=no-such-bouncer is no program")
    monkeypatch.delenv("PGBOUNCER")
    monkeypatch.setenv("PG_BIN", str(tmp_path))
    assert (await refusal_of(LocalCluster(tmp_path / "data", 1))).startswith(f"no PostgreSQL in {tmp_path}")


async def test_files_of_another_postgres_are_not_touched(make_cluster: MakeCluster, tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with make_cluster(data=data):
        pass
    (data / "shard1/postgres/PG_VERSION").write_text("14\n")
    refusal = await refusal_of(LocalCluster(data, 1))
    assert refusal.startswith(f"{data}/shard1/postgres is of PostgreSQL 14 and ")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
async def test_files_of_another_user_are_not_touched(make_cluster: MakeCluster, tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with make_cluster(data=data):
        pass
    os.chown(data / "shard1/postgres", 1, 1)
    refusal = await refusal_of(LocalCluster(data, 1))
    assert refusal.startswith(f"{data}/shard1/postgres belongs to the user daemon and PostgreSQL would run as ")


@pytest.mark.parametrize("shard_count", [0, -1, 65])
def test_a_number_of_shards_that_makes_no_sense(tmp_path: Path, shard_count: int) -> None:
    with pytest.raises(OperatorError, match=f"^SHARDS must be 1 .. 64; got {shard_count}$"):
        LocalCluster(tmp_path, shard_count)
