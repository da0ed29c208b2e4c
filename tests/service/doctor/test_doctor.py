"""Real servers are broken one by one, and each finding is there, with what to do, and gone when it is mended."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy import make_url

from app.parts import connection_limits
from db.directory import DirectoryEntry
from db.partitions import Month
from db.pooler import look_at_pooler
from db.postgres import Postgres
from db.replica_state import LogPosition
from db.server_facts import ServerFacts
from infra.local.cluster import LocalCluster
from infra.local.ports import find_free_port
from ranking.keys import BoardKeys
from ranking.redis_facts import RedisFacts
from ranking.store import Store
from service.doctor.clocks import judge_clock
from service.doctor.disk_check import judge_disk
from service.doctor.examine import Examined, Patient, examine
from service.doctor.finding import Finding, Severity
from service.doctor.redis_checks import judge_redis
from service.doctor.replica_checks import judge_replica
from service.doctor.shard_checks import judge_moves
from service.prepare import keep_partitions_ready
from service.renew_ranks import renew_ranks
from tests.cli.shell import shardboard
from tests.db.shards import connected
from tests.factories import make_settings, opened_parts
from tests.sharding.routers import opened_direct, reset_owners

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
Seen = set[tuple[str, str, str]]


@pytest.fixture
async def well(clean: LocalCluster) -> AsyncIterator[LocalCluster]:
    """A cluster with ranks of nothing."""
    async with opened_parts(clean, background=False) as parts:
        await renew_ranks(parts)
    yield clean
    await reset_owners(clean)


@asynccontextmanager
async def patients(entries: Sequence[DirectoryEntry], cluster: LocalCluster) -> AsyncIterator[list[Patient]]:
    limits = connection_limits(make_settings(cluster))
    found = [
        Patient(
            entry,
            Postgres(entry.name, entry.url, limits),
            Postgres(entry.name, entry.direct_url, limits) if entry.direct_url else None,
        )
        for entry in entries
    ]
    yield found
    for patient in found:
        await patient.pooled.close()
        if patient.direct is not None:
            await patient.direct.close()


async def examined(cluster: LocalCluster, *, redis_url: str | None = None, **changed: DirectoryEntry) -> Examined:
    entries = [
        changed.get(shard.name, DirectoryEntry(shard.name, shard.url, shard.direct_url)) for shard in cluster.shards
    ]
    store = Store(redis_url or cluster.redis_url, timeout_s=1)
    try:
        async with patients(entries, cluster) as found:
            return await examine(found, store, BoardKeys("global"), back_days=30, months_ahead=3)
    finally:
        await store.close()


def seen(found: Sequence[Finding]) -> Seen:
    """What matters: the local PgBouncer may be one without prepared statements."""
    return {(each.severity, each.part, each.check) for each in found if each.check != "prepared"}


async def test_a_cluster_that_is_well_has_nothing_to_do(well: LocalCluster) -> None:
    found = await examined(well)
    assert seen(found.findings) == set()
    assert found.looks == 2 + 4 * 15 + 2


BREAKS: dict[str, tuple[str, str, tuple[Severity, str], str]] = {
    "an index": (
        "drop index leaderboard_rank_idx",
        "create index leaderboard_rank_idx on leaderboard (board_id, total_score desc, user_id)",
        (ERROR, "index_missing"),
        "`CREATE INDEX CONCURRENTLY leaderboard_rank_idx ON leaderboard (board_id, total_score DESC, user_id);`",
    ),
    "a schema": (
        "update alembic_version set version_num = '0001'",
        "update alembic_version set version_num = '{revision}'",
        (ERROR, "schema"),
        "`shardboard migrate`",
    ),
    "a newer schema": (
        "update shard_info set contracted_to = '9999'",
        "update shard_info set contracted_to = '0002'",
        (ERROR, "schema"),
        "Start the newer version.",
    ),
    "closed buckets": (
        "update bucket_owner set state = 'frozen'",
        "update bucket_owner set state = 'owned'",
        (ERROR, "closed"),
        "`shardboard restore` with the same backup once more",
    ),
    "a role": (
        "grant pg_read_all_stats to shardboard_service",
        "revoke pg_read_all_stats from shardboard_service",
        (WARNING, "role"),
        "then `shardboard migrate`",
    ),
    "a publication": (
        "create publication shardboard_move_0 for table players",
        "drop publication shardboard_move_0",
        (WARNING, "left_behind"),
        "`drop publication shardboard_move_0;`",
    ),
}
AS_SUPERUSER = ("a role",)


@pytest.mark.parametrize("what", BREAKS)
async def test_what_is_broken_on_a_shard_is_found(well: LocalCluster, what: str) -> None:
    break_, mend, (severity, check), do = BREAKS[what]
    url = superuser_of(well, 1) if what in AS_SUPERUSER else well.shards[1].direct_url
    async with connected(url) as connection:
        revision = await connection.fetchval("select version_num from alembic_version")
        await connection.execute(break_)
        try:
            found = await examined(well)
        finally:
            await connection.execute(mend.format(revision=revision))
    assert seen(found.findings) == {(severity, "shard2", check)}
    assert do in next(each.do for each in found.findings if each.check == check)


def superuser_of(cluster: LocalCluster, number: int) -> str:
    url = make_url(cluster.shards[number].direct_url)
    url = url.set(username="postgres", password=cluster.identity.superuser_password)
    return url.render_as_string(hide_password=False)


async def test_months_that_are_missing_are_found_by_how_soon_they_are_needed(well: LocalCluster) -> None:
    current = Month.of(datetime.now(UTC))
    async with connected(well.shards[0].direct_url) as connection:
        for month, severity in ((current.plus(3), NOTE), (current.plus(1), WARNING), (current, ERROR)):
            await connection.execute(f"drop table {month.partition}")
            found = await examined(well)
            assert seen(found.findings) == {(severity, "shard1", "partitions")}
    async with opened_direct(well.shards[0]) as (postgres,):
        await keep_partitions_ready(postgres, back_days=30, months_ahead=3)
    assert seen((await examined(well)).findings) == set()


async def test_who_owns_what_is_looked_at(well: LocalCluster) -> None:
    async with connected(well.shards[3].direct_url) as connection:
        await connection.execute("delete from bucket_owner where bucket = 3072")
        found = await examined(well)
        assert seen(found.findings) == {(ERROR, "map", "map")}
        assert found.findings[0].what.startswith("1 of 4096 buckets have no owner, the first is 3072.")
        await connection.execute("insert into bucket_owner values (3072, 'owned', 1), (0, 'owned', 1)")
        found = await examined(well)
        assert seen(found.findings) == {(ERROR, "map", "map")}
        assert "two owners at the same epoch, the first is 0: shard1 and shard4" in found.findings[0].what


async def test_keys_that_end_soon_are_told_once(well: LocalCluster) -> None:
    for shard in well.shards:
        async with connected(shard.direct_url) as connection:
            await connection.execute(
                "insert into api_keys values ('soon', 'server', 'eu', sha256('1'), '{submit}', 0, 0, now(), "
                "now() + interval '3 days', null), ('late', 'server', 'us', sha256('2'), '{submit}', 0, 0, now(), "
                "now() + interval '3 months', null)"
            )
    found = [each for each in (await examined(well)).findings if each.check != "prepared"]
    assert [(each.severity, each.part, each.check) for each in found] == [(WARNING, "keys", "key_ends")]
    assert found[0].what.startswith("The key soon (eu) ends ")


async def test_settings_of_the_services_role_are_looked_at(well: LocalCluster) -> None:
    url = superuser_of(well, 2)
    async with connected(url) as connection:
        await connection.execute("alter role shardboard_service in database shardboard set synchronous_commit = off")
        try:
            entry = DirectoryEntry("shard3", _past_pooler(well, 2), well.shards[2].direct_url)
            found = await examined(well, shard3=entry)
        finally:
            await connection.execute("alter role shardboard_service in database shardboard reset all")
    # Asked past the PgBouncer, whose connections keep the setting that they began with.
    assert seen(found.findings) == {(ERROR, "shard3", "synchronous_commit"), (NOTE, "shard3", "pool_mode")}


def _past_pooler(cluster: LocalCluster, number: int) -> str:
    service, direct = make_url(cluster.shards[number].url), make_url(cluster.shards[number].direct_url)
    return service.set(port=direct.port).render_as_string(hide_password=False)


async def test_the_way_of_pooling_is_found_by_using_it(well: LocalCluster) -> None:
    shard = well.shards[0]
    assert (await look_at_pooler("shard1", shard.url)).mode == "transaction"
    assert (await look_at_pooler("shard1", shard.direct_url)).mode == "none"
    pooler = well.shard_child("pgbouncer", "shard1")
    config = Path(pooler.spec.command[-1])
    text = config.read_text()
    try:
        for mode, severity in (("session", WARNING), ("statement", ERROR)):
            config.write_text(text.replace("dbname=shardboard", f"dbname=shardboard pool_mode={mode}"))
            await pooler.stop()
            await pooler.start()
            assert (severity, "shard1", "pool_mode") in seen((await examined(well)).findings)
    finally:
        config.write_text(text)
        await pooler.stop()
        await pooler.start()


async def test_one_of_several_poolers_and_replicas_that_follow_nobody_are_found(well: LocalCluster) -> None:
    nowhere, shard = find_free_port(set()), well.shards[0]
    host = f"127.0.0.1:{make_url(shard.url).port}"
    several = shard.url.replace(host, f"{host},127.0.0.1:{nowhere}")
    itself = _past_pooler(well, 0)
    entry = DirectoryEntry("shard1", several, shard.direct_url, replicas=(itself, _at(itself, nowhere)))
    found = (await examined(well, shard1=entry)).findings
    assert seen(found) == {(WARNING, "shard1", "pooler"), (WARNING, "shard1", "replica")}
    told = [each.what for each in found if each.check == "replica"]
    assert len(told) == 2
    assert sum(f"127.0.0.1:{nowhere} cannot be asked" in what for what in told) == 1
    assert sum("does not follow this shard" in what for what in told) == 1


def test_replicas_are_judged_by_where_they_stand() -> None:
    primary = LogPosition(False, 100_000_000, 7, 2)
    assert judge_replica("s", "p", LogPosition(True, 99_000_000, 7, 2), primary) == []
    for stands, what in (
        (LogPosition(True, 1_000_000, 7, 2), "is 99 MB of WAL behind"),
        (LogPosition(True, 99_000_000, 8, 2), "does not follow this shard"),
        (LogPosition(True, 99_000_000, 7, 3), "does not follow this shard"),
    ):
        (found,) = judge_replica("s", "p", stands, primary)
        assert what in found.what


async def test_redis_is_looked_at(well: LocalCluster) -> None:
    async with Redis.from_url(well.redis_url) as redis:
        await redis.config_set("maxmemory-policy", "allkeys-lru")
        await redis.config_set("maxmemory", "2mb")
        await redis.config_set("appendonly", "no")
        try:
            found = await examined(well)
        finally:
            await redis.config_set("maxmemory", "0")
            await redis.config_set("maxmemory-policy", "noeviction")
            await redis.config_set("appendonly", "yes")
        assert {(ERROR, "redis", "maxmemory_policy"), (WARNING, "redis", "persistence")} <= seen(found.findings)
        await redis.flushall()
        assert seen((await examined(well)).findings) == {(WARNING, "redis", "ranks")}


async def test_parts_that_are_away_or_hang_are_findings_and_nothing_waits(well: LocalCluster) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        port = deaf.getsockname()[1]
        hung = DirectoryEntry("shard1", _at(well.shards[0].url, port), _at(well.shards[0].direct_url, port))
        nowhere = find_free_port(set())
        gone = DirectoryEntry("shard4", well.shards[3].url, _at(well.shards[3].direct_url, nowhere))
        began = time.monotonic()
        found = await examined(well, redis_url=f"redis://127.0.0.1:{nowhere}/0", shard1=hung, shard4=gone)
        assert time.monotonic() - began < 30
    assert seen(found.findings) == {(ERROR, "shard1", "reach"), (ERROR, "shard4", "reach"), (ERROR, "redis", "reach")}


def _at(url: str, port: int) -> str:
    return make_url(url).set(port=port).render_as_string(hide_password=False)


async def test_the_command_tells_by_its_exit_code(well: LocalCluster) -> None:
    done = await shardboard(well, "doctor", "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json["looks"] == 2 + 4 * 15 + 2 + 1
    async with Redis.from_url(well.redis_url) as redis:
        await redis.flushall()
    done = await shardboard(well, "doctor")
    assert done.code == 1
    assert done.out.startswith("WARNING  redis: There are no ranks")


def test_clocks_are_compared_with_what_the_look_itself_took() -> None:
    assert judge_clock("redis", 100.0, 98.0, 103.0) == []
    assert judge_clock("redis", 103.9, 98.0, 103.0) == []
    (ahead,) = judge_clock("redis", 105.0, 98.0, 103.0)
    assert (ahead.severity, ahead.what[:34]) == (WARNING, "Its clock is 2.0 s ahead of this m")
    (behind,) = judge_clock("redis", 20.0, 98.0, 103.0)
    assert (behind.severity, behind.what[:30]) == (ERROR, "Its clock is 78.0 s behind thi")


def test_disks_are_judged_by_what_is_left() -> None:
    assert judge_disk("/d", 16, 100) == []
    assert [each.severity for each in judge_disk("/d", 10, 100)] == [WARNING]
    assert [each.severity for each in judge_disk("/d", 4, 100)] == [ERROR]


FACTS = ServerFacts(18, "logical", 16, 0, 16, 0, 8, 0, True, True, "UTF8")


@pytest.mark.parametrize(
    ("changed", "check", "do"),
    [
        ({"wal_level": "replica"}, "wal_level", "`alter system set wal_level = logical;` and restart the server."),
        ({"slots_used": 12}, "slots", "`alter system set max_replication_slots = 22;` and restart the server."),
        ({"senders_max": 4}, "senders", "`alter system set max_wal_senders = 10;` and restart the server."),
        ({"workers_max": 0}, "workers", "`alter system set max_logical_replication_workers = 4;`"),
        ({"may_replicate": False}, "owner_role", "As a superuser: `alter role … replication;`"),
        ({"may_subscribe": False}, "owner_role", "As a superuser: `grant pg_create_subscription to …;`"),
    ],
)
def test_what_moves_need_is_looked_at(changed: dict[str, object], check: str, do: str) -> None:
    assert judge_moves("shard1", FACTS) == []
    (found,) = judge_moves("shard1", replace(FACTS, **changed))  # type: ignore[arg-type]
    assert (found.severity, found.check) == (WARNING, check)
    assert found.do.startswith(do)


REDIS = RedisFacts("valkey", "7.2.4", "9.1.2", "noeviction", 50, 0, True, True, True, False, "master", 0.0)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"version": "6.0.16"}, (ERROR, "redis_version")),
        ({"policy": "volatile-lru"}, (WARNING, "maxmemory_policy")),
        ({"bytes_max": 60}, (WARNING, "memory")),
        ({"bytes_max": 51}, (ERROR, "memory")),
        ({"role": "slave"}, (ERROR, "redis_role")),
        ({"aof_ok": False}, (ERROR, "disk")),
        ({"rdb_ok": False}, (ERROR, "disk")),
        ({"aof": False, "saves": None}, (NOTE, "persistence")),
    ],
)
def test_what_redis_says_is_judged(changed: dict[str, object], expected: tuple[Severity, str]) -> None:
    assert judge_redis(REDIS) == []
    (found,) = judge_redis(replace(REDIS, **changed))  # type: ignore[arg-type]
    assert (found.severity, found.check) == expected
