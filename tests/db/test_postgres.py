from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import make_url, text

from db.history import NEWEST, HistoryRequest, read_history
from db.ownership import read_ownership
from db.partitions import list_partitions
from db.players import read_players
from db.postgres import ConnectionLimits, Postgres, read_shard_name
from db.standings import count_better, count_players, read_before, read_changed, read_mark, read_page, scan_rows
from domain.errors import OperatorError, Unavailable
from infra.local.binaries import find_binaries, pgbouncer_version
from infra.local.cluster import LocalCluster
from infra.local.cluster_file import ShardUrls
from sharding.placement import BUCKET_COUNT, bucket_of
from tests.db.shards import connected, contents, record, service_url_of
from tests.factories import make_submission
from tests.waiting import until

QUICK = ConnectionLimits(lanes=4, pool_size=4, connect_timeout_s=0.5, statement_timeout_s=0.5)


@pytest.fixture
async def silent_port() -> AsyncIterator[int]:
    """A port where somebody takes connections and never says a word."""

    async def listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    yield port
    server.close()


async def answers(postgres: Postgres) -> bool:
    try:
        return [tuple(row) for row in await postgres.call("select 1")] == [(1,)]
    except Unavailable:
        return False


async def test_a_postgres_reached_directly_keeps_prepared_statements(shard: ShardUrls) -> None:
    assert await Postgres(shard.name, shard.direct_url).keeps_prepared_statements()


async def test_it_asks_pgbouncer_whether_it_keeps_prepared_statements(shard: ShardUrls) -> None:
    """`PGBOUNCER=` runs this with another version."""
    keeps = pgbouncer_version(find_binaries().pgbouncer) >= (1, 21)
    assert await Postgres(shard.name, shard.url).keeps_prepared_statements() == keeps


async def test_the_password_may_stand_in_a_file(shard: ShardUrls, tmp_path: Path) -> None:
    served = make_url(shard.url)
    file = tmp_path / "pgpass"
    file.touch(0o600)
    file.write_text(f"{served.host}:{served.port}:*:{served.username}:{served.password}\n")
    url = served._replace(password=None).update_query_dict({"passfile": str(file)})
    postgres = Postgres(shard.name, url.render_as_string())
    assert await postgres.call("select current_user::text") == [(served.username,)]
    async with postgres.read() as connection:
        assert (await connection.execute(text("select current_user::text"))).scalar() == served.username
    await postgres.close()


async def test_asking_leaves_no_statement_behind(shard: ShardUrls) -> None:
    for _ in range(20):
        await Postgres(shard.name, shard.url).keeps_prepared_statements()
    async with connected(shard.url) as connection:
        names = await connection.fetch("select name from pg_prepared_statements")
        assert [row["name"] for row in names if row["name"].startswith("probe")] == []


async def test_hundreds_of_mixed_queries_meet_no_statement_error(postgres: Postgres) -> None:
    users = list(range(50))
    keys = [(bucket_of(user), user) for user in users]
    buckets = range(BUCKET_COUNT)
    await record(postgres, *(make_submission(user, user) for user in users))

    async def shard_name() -> object:
        async with postgres.read() as connection:
            return await read_shard_name(connection)

    async def partitions() -> object:
        async with postgres.read() as connection:
            return await list_partitions(connection)

    async def written() -> object:
        async with postgres.write() as connection:
            await connection.execute(text("select claim_buckets('{}', '{}')"))
            return await connection.scalar(text("select :number + 1"), {"number": random.randrange(100)})

    kinds: list[Callable[[], Awaitable[object]]] = [
        lambda: record(postgres, make_submission(random.choice(users), 1)),
        lambda: record(postgres, *(make_submission(user, 1) for user in random.sample(users, 20))),
        lambda: read_history(postgres, [HistoryRequest(*random.choice(keys), NEWEST, None, 5)]),
        lambda: read_players(postgres, keys),
        partial(read_page, postgres, buckets, (2**53, 0), 10),
        partial(read_before, postgres, buckets, (5, 5), 10),
        partial(count_better, postgres, buckets, [1, 2, 3], 100),
        partial(count_players, postgres, buckets),
        partial(read_mark, postgres),
        partial(read_changed, postgres, (0, None), 10),
        partial(scan_rows, postgres, buckets, (-1, 0), 10),
        partial(read_ownership, postgres),
        shard_name,
        partitions,
        written,
    ]
    in_flight = asyncio.Semaphore(100)

    async def one(number: int) -> None:
        async with in_flight:
            await kinds[number % len(kinds)]()

    await asyncio.gather(*(one(number) for number in range(600)))


async def test_the_address_of_another_shard_is_refused(shard: ShardUrls) -> None:
    before = await contents(shard.direct_url)
    stranger = Postgres("shard9", shard.url)
    with pytest.raises(OperatorError, match="The address of shard 'shard9' leads to the shard 'shard1'"):
        await record(stranger, make_submission(7, 1))
    assert await contents(shard.direct_url) == before
    await stranger.close()


async def test_a_statement_that_is_refused_is_not_taken_for_no_answer(postgres: Postgres) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        await postgres.call("select * from no_such_table")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await postgres.call("select 1 / $1::integer", 0)
    assert [tuple(row) for row in await postgres.call("select 1")] == [(1,)]


async def test_a_statement_over_its_time_is_given_up_and_ended_on_the_server(
    postgres: Postgres, shard: ShardUrls
) -> None:
    started = time.monotonic()
    with pytest.raises(Unavailable, match="Shard shard1 does not answer"):
        await postgres.call("select pg_sleep(60)", timeout_s=0.3)
    assert time.monotonic() - started < 1.5
    async with connected(shard.direct_url) as connection:
        await until(
            lambda: connection.fetchval(
                "select not exists (select from pg_stat_activity where query like '%pg_sleep(60)%' "
                "and state = 'active' and pid <> pg_backend_pid())"
            )
        )
    assert [tuple(row) for row in await postgres.call("select 1")] == [(1,)]


async def test_what_is_not_finished_is_not_written(shard: ShardUrls) -> None:
    owner = Postgres(shard.name, shard.direct_url)

    async def fail_half_way() -> None:
        async with owner.write() as connection:
            await connection.execute(text("delete from bucket_owner"))
            raise ZeroDivisionError

    before = await contents(shard.direct_url)
    with pytest.raises(ZeroDivisionError):
        await fail_half_way()
    assert await contents(shard.direct_url) == before
    await owner.close()


async def test_connections_that_the_server_ended_are_opened_anew(postgres: Postgres, shard: ShardUrls) -> None:
    await asyncio.gather(*(postgres.call("select 1") for _ in range(8)))
    async with postgres.read() as engine_connection:
        await engine_connection.execute(text("select 1"))
    async with connected(service_url_of(shard)) as connection:
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where usename = current_user and pid <> pg_backend_pid()"
        )
    await until(partial(answers, postgres))
    rows = await asyncio.gather(*(postgres.call("select 1") for _ in range(8)))
    assert [[tuple(row) for row in each] for each in rows] == [[(1,)]] * 8
    async with postgres.read() as engine_connection:
        assert (await engine_connection.execute(text("select 1"))).scalar() == 1


async def test_a_pgbouncer_that_hangs_costs_each_caller_its_deadline_and_no_more(
    server: LocalCluster, shard: ShardUrls
) -> None:
    postgres = Postgres(shard.name, shard.url, QUICK)
    await asyncio.gather(*(postgres.call("select 1") for _ in range(8)))
    pid = server.child("pgbouncer").pid
    os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        async with asyncio.timeout(10):
            got = await asyncio.gather(*(postgres.call("select 1") for _ in range(20)), return_exceptions=True)
        assert [type(answer) for answer in got] == [Unavailable] * 20
        assert time.monotonic() - started < 2.5
    finally:
        os.kill(pid, signal.SIGCONT)

    await until(partial(answers, postgres))
    await postgres.close()


async def test_who_is_cancelled_while_the_server_hangs_stays_cancelled(server: LocalCluster, shard: ShardUrls) -> None:
    postgres = Postgres(shard.name, shard.url, QUICK)
    await postgres.call("select 1")
    pid = server.child("pgbouncer").pid
    os.kill(pid, signal.SIGSTOP)
    try:
        waiting = asyncio.create_task(postgres.call("select 1", timeout_s=30))
        await until(lambda: postgres._lanes.idle_count == 0)
        waiting.cancel()
        async with asyncio.timeout(5):
            with pytest.raises(asyncio.CancelledError):
                await waiting
    finally:
        os.kill(pid, signal.SIGCONT)
    await postgres.close()


async def test_callers_do_not_queue_for_the_first_connection_to_nobody(silent_port: int) -> None:
    postgres = Postgres("shard1", f"postgresql://shardboard:x@127.0.0.1:{silent_port}/shardboard", QUICK)
    started = time.monotonic()
    async with asyncio.timeout(10):
        got = await asyncio.gather(*(postgres.call("select 1") for _ in range(20)), return_exceptions=True)
    assert [type(answer) for answer in got] == [Unavailable] * 20
    assert time.monotonic() - started < 1.5
    await postgres.close()


async def test_nobody_at_the_address_is_told_at_once(unused_tcp_port: int) -> None:
    postgres = Postgres("shard1", f"postgresql://shardboard:x@127.0.0.1:{unused_tcp_port}/shardboard", QUICK)
    started = time.monotonic()
    with pytest.raises(Unavailable, match="Shard shard1 does not answer; try again with the same submissionId"):
        await postgres.call("select 1")
    assert time.monotonic() - started < 0.4
    await postgres.close()
