from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from db.partitions import (
    Month,
    list_partitions,
    make_partitions,
    months_between,
    months_to_keep_ready,
    read_pruned_before,
    set_pruned_before,
)
from db.postgres import Postgres
from domain.ids import make_uuid7
from infra.local.cluster_file import ShardUrls
from service.prepare import keep_partitions_ready
from tests.db.shards import connected, record
from tests.factories import make_submission

FAR = Month(2091, 11)


@pytest.fixture
async def without_far_months(shard: ShardUrls) -> None:
    async with connected(shard.direct_url) as connection:
        for month in months_between(FAR, FAR.plus(3)):
            await connection.execute(f"drop table if exists {month.partition}")


def test_months_are_counted_over_years() -> None:
    assert Month(2026, 11).plus(3) == Month(2027, 2)
    assert Month(2026, 1).plus(-1) == Month(2025, 12)
    assert Month(2026, 12).plus(0) == Month(2026, 12)
    assert months_between(Month(2026, 11), Month(2027, 1)) == [Month(2026, 11), Month(2026, 12), Month(2027, 1)]
    assert months_between(Month(2027, 1), Month(2026, 11)) == []


def test_a_month_is_named_and_bounded_in_utc() -> None:
    month = Month.of(datetime.fromisoformat("2026-12-31T23:30:00-05:00"))
    assert (str(month), month.partition) == ("2027-01", "game_sessions_2027_01")
    assert month.start == datetime(2027, 1, 1, tzinfo=UTC)
    assert Month.of_partition(month.partition) == month


@pytest.mark.parametrize(
    ("today", "first", "last"),
    [
        (datetime(2026, 11, 23, tzinfo=UTC), Month(2026, 10), Month(2027, 2)),
        (datetime(2026, 11, 30, tzinfo=UTC), Month(2026, 10), Month(2027, 2)),
        (datetime(2026, 12, 31, tzinfo=UTC), Month(2026, 12), Month(2027, 3)),
        (datetime(2027, 3, 1, tzinfo=UTC), Month(2027, 1), Month(2027, 6)),
    ],
)
def test_every_month_that_an_accepted_id_may_carry_is_kept_ready(today: datetime, first: Month, last: Month) -> None:
    assert months_to_keep_ready(today, back_days=30, months_ahead=3) == months_between(first, last)


async def test_three_months_ahead_are_made_and_no_more(postgres: Postgres) -> None:
    now = Month.of(datetime.now(UTC))
    assert await keep_partitions_ready(postgres, back_days=30, months_ahead=3) == []
    async with postgres.read() as connection:
        there = [partition.month for partition in await list_partitions(connection)]
    assert there == months_between(there[0], now.plus(3))


@pytest.mark.usefixtures("without_far_months")
async def test_missing_months_are_made_once_though_two_make_them(postgres: Postgres) -> None:
    async def make() -> list[Month]:
        async with postgres.write() as connection:
            return await make_partitions(connection, [FAR.plus(1), FAR, FAR.plus(1)])

    assert sorted(await asyncio.gather(make(), make(), make())) == [[], [], [FAR, FAR.plus(1)]]
    async with postgres.read() as connection:
        far = [partition for partition in await list_partitions(connection) if partition.month >= FAR]
    assert [(p.month, p.sessions_estimated, p.detaching) for p in far] == [(FAR, -1, False), (FAR.plus(1), -1, False)]


@pytest.mark.usefixtures("without_far_months")
async def test_a_made_month_has_every_constraint_and_index_of_the_table(postgres: Postgres, shard: ShardUrls) -> None:
    async with postgres.write() as connection:
        await make_partitions(connection, [FAR])
    async with connected(shard.direct_url) as connection:
        rows = await connection.fetch(
            """
            select pg_get_constraintdef(oid) from pg_constraint
            where conrelid = $1::text::regclass and contype in ('c', 'p')
            union all
            select replace(pg_get_indexdef(indexrelid), $1::text, 'T') from pg_index where indrelid = $1::text::regclass
            """,
            FAR.partition,
        )
    assert sorted(row[0] for row in rows) == [
        "CHECK (((total_after >= '-9007199254740991'::bigint) AND (total_after <= '9007199254740991'::bigint)))",
        "CREATE INDEX T_user_id_id_idx ON public.T USING btree (user_id, id DESC)",
        "CREATE UNIQUE INDEX T_pkey ON public.T USING btree (id)",
        "PRIMARY KEY (id)",
    ]


@pytest.mark.usefixtures("without_far_months")
async def test_a_made_month_holds_the_ids_of_its_time_and_belongs_to_the_owner(
    postgres: Postgres, shard: ShardUrls
) -> None:
    december = Month(2091, 12)
    async with postgres.write() as connection:
        await make_partitions(connection, [december])
    async with connected(shard.direct_url) as connection:
        row = await connection.fetchrow(
            """
            select pg_get_expr(relpartbound, oid), relowner::regrole::text, relacl
            from pg_class where oid = $1::text::regclass
            """,
            december.partition,
        )
        low, high = (UUID(int=int(month.start.timestamp() * 1000) << 80) for month in (december, december.plus(1)))
        assert tuple(row) == (
            f"FOR VALUES FROM ('{low}') TO ('{high}')",
            await connection.fetchval("select relowner::regrole::text from pg_class where relname = 'game_sessions'"),
            None,
        )


@pytest.mark.parametrize("day", [date(1969, 12, 31), date(2200, 1, 1)])
async def test_no_month_is_made_in_which_no_session_can_be(postgres: Postgres, shard: ShardUrls, day: date) -> None:
    query = "select relname from pg_class where relname like 'game_sessions%' order by 1"
    async with connected(shard.direct_url) as connection:
        before = await connection.fetch(query)
        with pytest.raises(asyncpg.InvalidParameterValueError, match=f"no session is of {day:%Y-%m}"):
            await postgres.call("select make_session_months($1)", [FAR.start.date(), day])
        assert await connection.fetch(query) == before


@pytest.mark.usefixtures("without_far_months")
async def test_making_a_month_lets_writers_go_on(postgres: Postgres, shard: ShardUrls) -> None:
    async with connected(shard.direct_url) as connection, connection.transaction():
        # Somebody who reads and writes the table and has not finished yet.
        await connection.execute("insert into game_sessions select * from game_sessions")
        async with asyncio.timeout(5):
            async with postgres.write() as maker:
                await maker.execute(text("set local lock_timeout = '4s'"))
                assert await make_partitions(maker, [FAR]) == [FAR]
            (outcome,) = await record(postgres, make_submission(7, 1, id=make_uuid7(int(FAR.start.timestamp() * 1000))))
    assert outcome.outcome == "recorded"


async def test_what_was_pruned_is_remembered_and_never_forgotten(postgres: Postgres, shard: ShardUrls) -> None:
    owner = Postgres(shard.name, shard.direct_url)
    try:
        for instant in (datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)):
            async with owner.write() as connection:
                await set_pruned_before(connection, instant)
        async with postgres.read() as connection:
            assert await read_pruned_before(connection) == datetime(2026, 5, 1, tzinfo=UTC)
    finally:
        await owner.close()
        async with connected(shard.direct_url) as connection:
            await connection.execute("update shard_info set pruned_before = null")
