"""What runs while a cluster runs, what is told about it, and that nothing stays."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import psutil
import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from infra.local.cluster import LocalCluster
from infra.local.postgres import OWNER, SERVICE_ROLE
from tests.conftest import MakeCluster
from tests.infra.clusters import read_cluster_file


async def test_every_address_answers(clean: LocalCluster) -> None:
    for shard in clean.shards:
        for url, role in ((shard.url, SERVICE_ROLE), (shard.direct_url, OWNER)):
            connection = await asyncpg.connect(url, statement_cache_size=0)
            answer = await connection.fetchrow(
                "select current_setting('cluster_name'), current_user::text, "
                "current_setting('synchronous_commit'), current_setting('fsync'), current_setting('wal_level')"
            )
            await connection.close()
            assert tuple(answer) == (shard.name, role, "on", "on", "logical")
    async with Redis.from_url(clean.redis_url) as redis:
        assert await redis.config_get("appendonly", "appendfsync", "maxmemory-policy") == {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
        }


async def test_other_users_of_the_machine_need_the_passwords(clean: LocalCluster) -> None:
    for url in (clean.shards[0].url, clean.shards[0].direct_url):
        with pytest.raises(asyncpg.PostgresError, match=r"password|SASL"):
            await asyncpg.connect(url, password="guessed", statement_cache_size=0)
    async with Redis.from_url(clean.redis_url.replace(clean.identity.redis_password, "guessed")) as redis:
        with pytest.raises(AuthenticationError):
            await redis.ping()


async def test_no_role_is_a_superuser_where_postgres_allows_it(clean: LocalCluster) -> None:
    connection = await asyncpg.connect(clean.shards[0].direct_url)
    roles = await connection.fetch(
        "select rolname, rolsuper from pg_roles where starts_with(rolname, 'shardboard') order by 1"
    )
    major = connection.get_server_version().major
    await connection.close()
    assert [tuple(role) for role in roles] == [(OWNER, major < 16), (SERVICE_ROLE, False)]


async def test_the_two_roles_have_their_own_passwords(clean: LocalCluster) -> None:
    for shard in clean.shards:
        served, owned = urlsplit(shard.url), urlsplit(shard.direct_url)
        assert (served.username, owned.username) == (SERVICE_ROLE, OWNER)
        assert served.password != owned.password
        # The owner comes in only past PgBouncer, which does not know its password.
        with pytest.raises(asyncpg.PostgresError, match=r"password|SASL|no such user"):
            await asyncpg.connect(shard.url, user=OWNER, password=owned.password, statement_cache_size=0)


async def test_cluster_file_tells_what_runs_and_only_to_its_owner(clean: LocalCluster) -> None:
    described = read_cluster_file(clean.data)

    assert stat.S_IMODE((clean.data / "cluster.json").stat().st_mode) == 0o600
    assert list(described) == [
        "url",
        "graphql_url",
        "server_key",
        "admin_key",
        "token_secret",
        "redis_url",
        "shards",
        "control",
        "processes",
    ]
    assert described["url"] == f"http://127.0.0.1:{clean.port}"
    assert described["graphql_url"] == f"http://127.0.0.1:{clean.port}/graphql"
    assert described["redis_url"] == clean.redis_url
    assert described["shards"] == [
        {"name": shard.name, "url": shard.url, "direct_url": shard.direct_url, "replicas": []} for shard in clean.shards
    ]
    assert described["server_key"] != described["admin_key"]
    assert len(described["server_key"]) == len(described["admin_key"]) == 32
    assert list(described["control"]) == ["port", "token"]
    assert len(described["control"]["token"]) == 43
    numbers = range(1, len(clean.shards) + 1)
    assert {(process["role"], process["name"], process["pid"]) for process in described["processes"]} == {
        ("supervisor", "supervisor", os.getpid()),
        ("valkey", "valkey", clean.child("valkey").pid),
        *(("postgres", f"shard{n}", clean.child("postgres", n).pid) for n in numbers),
        *(("pgbouncer", f"shard{n}-pgbouncer", clean.child("pgbouncer", n).pid) for n in numbers),
    }


async def test_files_with_secrets_are_not_for_others(clean: LocalCluster) -> None:
    open_to_others = [
        path
        for path in [*clean.data.iterdir(), *clean.data.glob("shard*/*"), *clean.data.glob("valkey/*.conf")]
        if stat.S_IMODE(path.stat().st_mode) & 0o077 and not path.is_socket() and path.name != ".s.PGSQL.lock"
    ]
    assert open_to_others == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user's processes")
async def test_as_root_the_servers_are_not_root(clean: LocalCluster) -> None:
    users = {child.spec.name: psutil.Process(child.pid).username() for child in clean.children}
    assert set(users.values()) <= {"postgres", "nobody"}


async def test_stopping_leaves_nothing_running(make_cluster: MakeCluster) -> None:
    others = set(psutil.Process().children(recursive=True))
    async with make_cluster(shard_count=2) as cluster:
        connection = await asyncpg.connect(cluster.shards[0].url, statement_cache_size=0)
        family = set(psutil.Process().children(recursive=True)) - others
        assert {child.pid for child in cluster.children} < {process.pid for process in family}
        ports = cluster.identity.ports
    connection.terminate()

    assert [process for process in family if process.is_running()] == []
    assert not {c.laddr.port for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN} & ports
    described = read_cluster_file(cluster.data)
    assert described["processes"] == []
    assert described["control"] is None
    assert len(described["shards"]) == 2


async def test_a_second_start_finds_keys_ports_and_data_again(make_cluster: MakeCluster, tmp_path: Path) -> None:
    data = tmp_path / "with a space, and ünicode"
    async with make_cluster(data=data) as cluster:
        identity = cluster.identity
        connection = await asyncpg.connect(cluster.shards[0].direct_url)
        await connection.execute("create table kept as select 42 as answer")
        await connection.close()
        async with Redis.from_url(cluster.redis_url) as redis:
            await redis.set("kept", "42")

    async with make_cluster(data=data) as cluster:
        assert cluster.identity == identity
        connection = await asyncpg.connect(cluster.shards[0].direct_url)
        assert await connection.fetchval("select answer from kept") == 42
        await connection.close()
        async with Redis.from_url(cluster.redis_url) as redis:
            assert await redis.get("kept") == b"42"


@pytest.mark.parametrize("role", ["postgres", "pgbouncer", "valkey"])
async def test_a_killed_part_is_started_again(
    clean: LocalCluster, role: str, capsys: pytest.CaptureFixture[str]
) -> None:
    child = clean.child(role)
    old = child.pid
    child.crash()
    async with asyncio.timeout(15):
        await child.until_ready()

    assert child.pid != old
    assert {"role": role, "name": child.spec.name, "pid": child.pid} in read_cluster_file(clean.data)["processes"]
    died = f"!! {child.spec.name} (pid {old}) died of SIGKILL; starting it again in 0.1 s"
    assert died in capsys.readouterr().out.splitlines()
    connection = await asyncpg.connect(clean.shards[0].url, statement_cache_size=0)
    assert await connection.fetchval("select 1") == 1
    await connection.close()


async def test_a_long_path_has_no_unix_socket_and_works_all_the_same(make_cluster: MakeCluster, tmp_path: Path) -> None:
    data = tmp_path / ("deep" * 25)
    async with make_cluster(data=data) as cluster:
        assert list(data.glob("shard1/.s.PGSQL.*")) == []
        connection = await asyncpg.connect(cluster.shards[0].url, statement_cache_size=0)
        assert await connection.fetchval("select inet_server_addr()::text") == "127.0.0.1/32"
        await connection.close()
