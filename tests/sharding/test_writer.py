from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import make_url

from db.postgres import Postgres
from domain.errors import BadUserInput, ErrorCode, Unavailable
from domain.ids import make_uuid7
from domain.submission import SCORE_MAX
from infra.local.cluster import LocalCluster
from sharding.placement import bucket_of
from sharding.router import Router
from sharding.writer import ShardWriter
from tests.db.shards import connected
from tests.factories import make_id, make_submission, users_of_shard
from tests.sharding.routers import LossyProxy, opened_router, totals
from tests.waiting import until

USERS = users_of_shard(1, 40)
LIMITS: dict[str, Any] = {"flushes_in_flight": 2, "batch_rows_max": 16, "queue_rows_max": 1000}


class WatchedPostgres(Postgres):
    """A Postgres that notes how many rows each batch has."""

    def __init__(self, name: str, url: str) -> None:
        super().__init__(name, url)
        self.batches: list[int] = []

    async def call(self, statement: str, *arguments: Any, timeout_s: float | None = None) -> Any:
        if "record_sessions" in statement:
            self.batches.append(len(arguments[0]))
        return await super().call(statement, *arguments, timeout_s=timeout_s)


@pytest.fixture
async def postgres(shards: LocalCluster) -> AsyncIterator[WatchedPostgres]:
    shard = shards.shards[0]
    postgres = WatchedPostgres(shard.name, shard.url)
    yield postgres
    await postgres.close()


async def test_many_submissions_make_few_batches_within_the_limit(
    shards: LocalCluster, postgres: WatchedPostgres
) -> None:
    writer = ShardWriter(postgres, **LIMITS)
    outcomes = await asyncio.gather(*(writer.record(bucket_of(u), make_submission(u, 1)) for u in USERS * 10))
    await writer.drained()
    assert {outcome.outcome for outcome in outcomes} == {"recorded"}
    assert postgres.batches == [16] * 25
    assert await totals(shards) == dict.fromkeys(USERS, (10, 10))


async def test_one_that_is_refused_fails_alone(shards: LocalCluster, postgres: WatchedPostgres) -> None:
    rich, *others = USERS[:16]
    writer = ShardWriter(postgres, **LIMITS)
    await writer.record(bucket_of(rich), make_submission(rich, SCORE_MAX))
    postgres.batches.clear()
    submissions = [make_submission(rich, 1), *(make_submission(user, 1) for user in others)]
    results = await asyncio.gather(
        *(writer.record(bucket_of(s.user_id), s) for s in submissions), return_exceptions=True
    )
    refused = results.pop(0)
    assert isinstance(refused, BadUserInput)
    assert refused.code is ErrorCode.BAD_USER_INPUT
    assert str(refused).startswith("input.score would bring the player's total beyond ±9007199254740991")
    assert [result.outcome for result in results if not isinstance(result, BaseException)] == ["recorded"] * 15
    # 16, then halves down to the refused one, and what stands beside each half.
    assert postgres.batches == [16, 8, 4, 2, 1, 1, 2, 4, 8]
    assert await totals(shards) == {rich: (SCORE_MAX, 1)} | dict.fromkeys(others, (1, 1))


async def test_of_a_batch_that_passes_its_range_on_the_way_only_that_session_is_refused(
    shards: LocalCluster, postgres: WatchedPostgres
) -> None:
    user = USERS[0]
    writer = ShardWriter(postgres, **LIMITS)
    results = await asyncio.gather(
        *(writer.record(bucket_of(user), make_submission(user, score)) for score in (SCORE_MAX, 1, -SCORE_MAX)),
        return_exceptions=True,
    )
    assert isinstance(results[1], BadUserInput)
    assert await totals(shards) == {user: (0, 2)}


async def test_a_month_that_is_missing_fails_its_sessions_alone(
    shards: LocalCluster, postgres: WatchedPostgres
) -> None:
    writer = ShardWriter(postgres, **LIMITS)
    lost = make_submission(USERS[0], 1, id=make_uuid7(1_000_000_000_000))
    good = make_submission(USERS[1], 1)
    results = await asyncio.gather(
        *(writer.record(bucket_of(s.user_id), s) for s in (lost, good)), return_exceptions=True
    )
    assert isinstance(results[0], Unavailable)
    assert str(results[0]).startswith("There is no partition for the month of this session")
    assert not isinstance(results[1], BaseException)
    assert await totals(shards) == {USERS[1]: (1, 1)}


async def test_64_concurrent_submissions_of_one_id_count_once(shards: LocalCluster, router: Router) -> None:
    id_ = make_id()
    async with opened_router(shards) as other:
        outcomes = await asyncio.gather(
            *(through.record(make_submission(7, 10, id=id_)) for _ in range(32) for through in (router, other))
        )
    assert sorted(o.outcome for o in outcomes) == ["duplicate"] * 63 + ["recorded"]
    assert {(o.total, o.games) for o in outcomes} == {(10, 1)}
    assert await totals(shards) == {7: (10, 1)}


async def test_many_ids_sent_twice_through_two_processes_count_once_each(shards: LocalCluster, router: Router) -> None:
    users = range(60)
    ids = {(user, number): make_id() for user in users for number in range(4)}
    async with opened_router(shards, flushes_in_flight=4, batch_rows_max=20) as other:
        outcomes = await asyncio.gather(
            *(
                through.record(make_submission(user, 1, id=id_))
                for through in (router, other)
                for (user, _), id_ in ids.items()
            )
        )
    assert sorted(o.outcome for o in outcomes) == ["duplicate"] * 240 + ["recorded"] * 240
    assert await totals(shards) == dict.fromkeys(users, (4, 4))


async def test_an_answer_lost_after_the_commit_is_answered_as_the_first_time(shards: LocalCluster) -> None:
    shard = shards.shards[0]
    url = make_url(shard.url)
    assert url.port is not None
    proxy = LossyProxy(url.port)
    await proxy.start()
    postgres = Postgres(shard.name, url.set(port=proxy.port).render_as_string(hide_password=False))
    writer = ShardWriter(postgres, **LIMITS)
    try:
        await writer.record(bucket_of(USERS[0]), make_submission(USERS[0], 100))
        proxy.losses_due = 1
        outcomes = await asyncio.gather(*(writer.record(bucket_of(u), make_submission(u, 1)) for u in USERS[:10]))
    finally:
        await postgres.close()
        proxy.close()
    assert proxy.lost == 1
    assert [(o.outcome, o.total, o.games) for o in outcomes] == [("recorded", 101, 2)] + [("recorded", 1, 1)] * 9
    assert await totals(shards) == {USERS[0]: (101, 2)} | dict.fromkeys(USERS[1:10], (1, 1))


async def test_answers_lost_again_and_again_are_unavailable_and_a_retry_is_a_duplicate(shards: LocalCluster) -> None:
    shard = shards.shards[0]
    url = make_url(shard.url)
    assert url.port is not None
    proxy = LossyProxy(url.port)
    await proxy.start()
    postgres = Postgres(shard.name, url.set(port=proxy.port).render_as_string(hide_password=False))
    writer = ShardWriter(postgres, **LIMITS)
    user, id_ = USERS[0], make_id()
    try:
        proxy.losses_due = 100
        with pytest.raises(Unavailable, match="Shard shard1 does not answer"):
            await writer.record(bucket_of(user), make_submission(user, 1, id=id_))
        proxy.losses_due = 0
        retried = await writer.record(bucket_of(user), make_submission(user, 1, id=id_))
    finally:
        await postgres.close()
        proxy.close()
    assert (retried.outcome, retried.total, retried.games) == ("duplicate", 1, 1)
    assert await totals(shards) == {user: (1, 1)}


async def test_a_backend_that_is_terminated_costs_no_submission(shards: LocalCluster, router: Router) -> None:
    recorded = 0
    done = asyncio.Event()

    async def submit(user: int) -> None:
        nonlocal recorded
        while not done.is_set():
            submission = make_submission(user, 1)
            while True:
                try:
                    outcomes = await router.record(submission)
                except Unavailable:
                    continue
                break
            assert outcomes.outcome in ("recorded", "duplicate")
            recorded += 1

    traffic = [asyncio.create_task(submit(user)) for user in USERS[:8]]
    async with connected(shards.shards[0].direct_url) as connection:
        for target in (50, 150, 250):
            await until(lambda target=target: recorded >= target)  # type: ignore[misc]
            await connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where usename = current_user and pid <> pg_backend_pid()"
            )
    done.set()
    await asyncio.gather(*traffic)
    held = await totals(shards)
    assert sum(total for total, _ in held.values()) == recorded
    assert set(held) == set(USERS[:8])
