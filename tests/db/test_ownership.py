"""How buckets change hands on one shard: frozen, thawed, released, claimed, and what of it is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import make_url

from db.ownership import (
    HandedOver,
    OwnedBucket,
    claim_buckets,
    freeze_buckets,
    read_ownership,
    release_buckets,
    thaw_buckets,
)
from db.postgres import Postgres
from infra.local.cluster import LocalCluster
from infra.local.cluster_file import ShardUrls
from sharding.placement import BUCKET_COUNT, bucket_of
from tests.db.shards import connected, contents, record
from tests.factories import make_submission
from tests.waiting import until

USERS = [1, 2, 3]
BUCKETS = [bucket_of(user) for user in USERS]
OTHER = 4
LONG_MS = 60_000


@pytest.fixture
async def postgres(shard: ShardUrls) -> AsyncIterator[Postgres]:
    """The shard as a mover reaches it; the service may neither freeze nor release."""
    postgres = Postgres(shard.name, shard.direct_url)
    yield postgres
    await postgres.close()


@pytest.fixture(autouse=True)
async def owning_all(shard: ShardUrls) -> AsyncIterator[None]:
    """The shard owns every bucket at epoch 1 again afterwards, and gave none away."""
    yield
    async with connected(shard.direct_url) as connection, connection.transaction():
        await connection.execute("delete from bucket_owner; delete from bucket_handover; delete from move_markers")
        await connection.execute(
            f"insert into bucket_owner select b, 'owned', 1 from generate_series(0, {BUCKET_COUNT - 1}) as b"
        )


async def freeze(postgres: Postgres, buckets: list[int], bound_ms: int = LONG_MS, lock_ms: int = 2_000) -> Any:
    return await freeze_buckets(postgres, buckets, move_id=UUID(int=7), marker=1, bound_ms=bound_ms, lock_ms=lock_ms)


async def release(postgres: Postgres, buckets: list[int], lock_ms: int = 2_000) -> dict[int, int]:
    return await release_buckets(postgres, buckets, "shard2", lock_ms=lock_ms)


async def state(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """All there is that says who owns what."""
    async with connected(url) as connection:
        markers = [tuple(row) for row in await connection.fetch("select * from move_markers")]
        handed = [tuple(row) for row in await connection.fetch("select * from bucket_handover order by 1")]
    return await contents(url) | {"move_markers": markers, "bucket_handover": handed}


async def outcomes(postgres: Postgres, *users: int) -> list[str]:
    return [(await record(postgres, make_submission(user, 1)))[0].outcome for user in users]


async def run_out(url: str) -> None:
    """Wait until the freeze of all buckets has run out."""
    async with connected(url) as connection:
        await until(
            lambda: connection.fetchval(
                "select not exists (select from bucket_owner where frozen_until > clock_timestamp())"
            )
        )


async def test_frozen_buckets_take_nothing_until_they_are_thawed(postgres: Postgres, shard: ShardUrls) -> None:
    assert await freeze(postgres, BUCKETS) == dict.fromkeys(BUCKETS, 1)
    assert await outcomes(postgres, *USERS, OTHER) == ["frozen"] * 3 + ["recorded"]
    ownership = await read_ownership(postgres)
    assert len(ownership.owned) == BUCKET_COUNT
    async with connected(shard.direct_url) as connection:
        assert [tuple(row) for row in await connection.fetch("select * from move_markers")] == [(UUID(int=7), 1)]
    await thaw_buckets(postgres, BUCKETS)
    assert await outcomes(postgres, *USERS) == ["recorded"] * 3
    async with connected(shard.direct_url) as connection:
        assert not await connection.fetchval("select exists (select from bucket_owner where state <> 'owned')")


async def test_a_freeze_that_ran_out_takes_writes_and_gives_nothing_away(postgres: Postgres, shard: ShardUrls) -> None:
    await freeze(postgres, BUCKETS, bound_ms=1)
    await run_out(shard.direct_url)
    assert await outcomes(postgres, *USERS) == ["recorded"] * 3
    before = await state(shard.direct_url)
    assert await release(postgres, BUCKETS) == {}
    assert await state(shard.direct_url) == before
    assert await outcomes(postgres, *USERS) == ["recorded"] * 3
    # And it can be frozen again.
    async with connected(shard.direct_url) as connection:
        await connection.execute("delete from move_markers")
    assert await freeze(postgres, BUCKETS) == dict.fromkeys(BUCKETS, 1)


async def test_what_is_frozen_already_is_not_frozen_by_another(postgres: Postgres, shard: ShardUrls) -> None:
    await freeze(postgres, BUCKETS[:1])
    before = await state(shard.direct_url)
    found = await freeze_buckets(postgres, BUCKETS, move_id=uuid4(), marker=1, bound_ms=1, lock_ms=2_000)
    assert found == {}
    assert await state(shard.direct_url) == before


async def test_where_one_is_not_owned_nothing_is_frozen(postgres: Postgres, shard: ShardUrls) -> None:
    await freeze(postgres, BUCKETS[:1])
    assert await release(postgres, BUCKETS[:1]) == {BUCKETS[0]: 2}
    async with connected(shard.direct_url) as connection:
        await connection.execute("delete from move_markers")
    before = await state(shard.direct_url)
    assert await freeze(postgres, BUCKETS) == {}
    assert await state(shard.direct_url) == before
    assert await outcomes(postgres, *USERS) == ["moved", "recorded", "recorded"]


async def test_released_buckets_are_the_targets_for_good(postgres: Postgres) -> None:
    await freeze(postgres, BUCKETS)
    assert await release(postgres, BUCKETS) == dict.fromkeys(BUCKETS, 2)
    ownership = await read_ownership(postgres)
    assert list(ownership.handed_over) == [HandedOver(bucket, 2, "shard2") for bucket in sorted(BUCKETS)]
    assert {claim.bucket for claim in ownership.owned} == set(range(BUCKET_COUNT)) - set(BUCKETS)
    assert await outcomes(postgres, *USERS, OTHER) == ["moved"] * 3 + ["recorded"]


async def test_what_is_not_frozen_is_not_released(postgres: Postgres, shard: ShardUrls) -> None:
    await freeze(postgres, BUCKETS[:2])
    before = await state(shard.direct_url)
    assert await release(postgres, BUCKETS) == {}
    assert await state(shard.direct_url) == before


async def test_a_claim_holds_once_and_an_old_one_never_again(postgres: Postgres, shard: ShardUrls) -> None:
    bucket = BUCKETS[0]
    await freeze(postgres, [bucket])
    assert await release(postgres, [bucket]) == {bucket: 2}
    before = await state(shard.direct_url)
    for epoch in (1, 2):
        await claim_buckets(postgres, {bucket: epoch})
    assert await state(shard.direct_url) == before
    for _ in range(2):
        await claim_buckets(postgres, {bucket: 3, BUCKETS[1]: 9})
        owned = (await read_ownership(postgres)).owned
        # One that it owns already stays as it is.
        assert OwnedBucket(bucket, 3) in owned
        assert OwnedBucket(BUCKETS[1], 1) in owned
    assert await outcomes(postgres, *USERS) == ["recorded"] * 3


@pytest.mark.parametrize("change", [freeze, release])
async def test_a_batch_that_does_not_end_in_time_keeps_buckets_where_they_are(
    postgres: Postgres, shard: ShardUrls, change: Any
) -> None:
    if change is release:
        await freeze(postgres, BUCKETS)
    before = await state(shard.direct_url)
    async with connected(shard.direct_url) as connection:
        async with connection.transaction():
            await connection.execute("lock table bucket_owner in row share mode")
            assert await change(postgres, BUCKETS, lock_ms=50) == {}
        assert await state(shard.direct_url) == before


async def test_a_freeze_waits_for_the_batch_that_saw_the_bucket_as_owned(postgres: Postgres, shard: ShardUrls) -> None:
    """What the marker comes after is everything: a batch that began before the freeze commits before it."""
    async with connected(shard.direct_url) as connection:
        async with connection.transaction():
            await connection.execute("lock table bucket_owner in row share mode")
            freezing = asyncio.create_task(freeze(postgres, BUCKETS, lock_ms=20_000))
            waits = "select exists (select from pg_locks where relation = 'bucket_owner'::regclass and not granted)"
            await until(lambda: connection.fetchval(waits))
            assert not freezing.done()
        assert await freezing == dict.fromkeys(BUCKETS, 1)


@pytest.mark.parametrize("change", ["insert", "update"])
async def test_a_replicated_standing_gets_this_shards_transaction_id(
    server: LocalCluster, postgres: Postgres, shard: ShardUrls, change: str
) -> None:
    await record(postgres, make_submission(USERS[0], 5))
    superuser = make_url(shard.direct_url).set(username="postgres", password=server.identity.superuser_password)
    foreign = "18446744073709551610"
    if change == "insert":
        statement = (
            "insert into leaderboard select bucket, board_id, user_id + 1000, total_score, games_played, last_played, "
            "revision, $1::text::xid8 from leaderboard returning changed_xid::text, pg_current_xact_id()::text"
        )
    else:
        statement = (
            "update leaderboard set revision = 2, changed_xid = $1::text::xid8 "
            "returning changed_xid::text, pg_current_xact_id()::text"
        )
    async with connected(superuser.render_as_string(hide_password=False)) as connection:
        for role, is_local in (("origin", False), ("replica", True)):
            await connection.execute(f"set session_replication_role = {role}")
            transaction = connection.transaction()
            await transaction.start()
            given, local = await connection.fetchrow(statement, foreign)
            await transaction.rollback()
            assert given == (local if is_local else foreign)
