"""A shard that is away takes its own players with it, for as long as it is away, and nobody else's."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import psutil
import pytest

from db.players import read_players
from domain.errors import Unavailable
from domain.resilience.breaker import State
from domain.resilience.limits import SHARD_DOUBT_S
from domain.standing import Player
from infra.local.cluster import LocalCluster
from sharding.router import Router
from tests.db.shards import connected
from tests.factories import make_submission, users_of_shard
from tests.sharding.routers import opened_router, totals
from tests.waiting import until

DEADLINE_MS = 2500
OTHERS = [user for number in (1, 3, 4) for user in users_of_shard(number, 5)]
DEAD = users_of_shard(2, 5)

Outage = Callable[[LocalCluster], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def postgres_stopped(cluster: LocalCluster) -> AsyncIterator[None]:
    child = cluster.child("postgres", 2)
    await child.stop(kill=True)
    try:
        yield
    finally:
        await child.start()


@asynccontextmanager
async def pgbouncer_stopped(cluster: LocalCluster) -> AsyncIterator[None]:
    child = cluster.child("pgbouncer", 2)
    await child.stop(kill=True)
    try:
        yield
    finally:
        await child.start()


@asynccontextmanager
async def pgbouncer_hanging(cluster: LocalCluster) -> AsyncIterator[None]:
    pid = cluster.child("pgbouncer", 2).pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def postgres_hanging(cluster: LocalCluster) -> AsyncIterator[None]:
    postmaster = psutil.Process(cluster.child("postgres", 2).pid)
    stopped = [postmaster, *postmaster.children(recursive=True)]
    for process in stopped:
        process.suspend()
    try:
        yield
    finally:
        for process in stopped:
            with suppress(psutil.NoSuchProcess):
                process.resume()


async def timed(router: Router, user: int) -> tuple[str, float]:
    started = time.monotonic()
    try:
        outcome: str = (await router.record(make_submission(user, 1))).outcome
    except Unavailable as error:
        outcome = str(error)
    return outcome, time.monotonic() - started


@pytest.mark.parametrize("outage", [postgres_stopped, pgbouncer_stopped, pgbouncer_hanging])
async def test_only_its_own_players_fail_and_it_comes_back_by_itself(shards: LocalCluster, outage: Outage) -> None:
    async with opened_router(shards, deadline_ms=DEADLINE_MS) as router:
        await asyncio.gather(*(router.record(make_submission(user, 1)) for user in [*OTHERS, *DEAD]))
        async with outage(shards):
            answers = dict(
                zip([*OTHERS, *DEAD], await asyncio.gather(*(timed(router, u) for u in [*OTHERS, *DEAD])), strict=True)
            )
            assert {answers[user][0] for user in OTHERS} == {"recorded"}
            assert max(answers[user][1] for user in OTHERS) < DEADLINE_MS / 1000
            assert {answers[user][0] for user in DEAD} == {
                "Shard shard2 does not answer; try again with the same submissionId."
            }
            assert max(answers[user][1] for user in DEAD) < DEADLINE_MS / 1000
            found = await router.scatter_keys([*OTHERS, *DEAD], read_players)
            assert {user for user, answer in found.items() if isinstance(answer, Player)} == set(OTHERS)
            assert {user for user, answer in found.items() if isinstance(answer, Unavailable)} == set(DEAD)

        async def all_recorded() -> bool:
            return {(await timed(router, user))[0] for user in DEAD} == {"recorded"}

        await until(all_recorded)
        held = await totals(shards)
        assert {user: held[user] for user in OTHERS} == dict.fromkeys(OTHERS, (2, 2))


@pytest.mark.parametrize("outage", [postgres_stopped, pgbouncer_stopped, pgbouncer_hanging, postgres_hanging])
async def test_once_it_is_known_to_be_away_its_players_are_told_at_once(shards: LocalCluster, outage: Outage) -> None:
    async with opened_router(shards, deadline_ms=DEADLINE_MS) as router:
        breaker = router.shards["shard2"].postgres.breaker
        await asyncio.gather(*(router.record(make_submission(user, 1)) for user in [*OTHERS, *DEAD]))
        async with outage(shards):
            first = asyncio.create_task(timed(router, DEAD[0]))
            await until(lambda: breaker.state in (State.OPEN, State.HALF_OPEN), 3)
            # The first one may have to wait still, and nobody else.
            answers = [await timed(router, user) for user in DEAD[1:] for _ in range(10)]
            assert {message for message, _ in answers} == {
                "Shard shard2 does not answer; try again with the same submissionId."
            }
            assert sum(seconds for _, seconds in answers) / len(answers) < 0.05
            assert {(await timed(router, user))[0] for user in OTHERS} == {"recorded"}
            assert (await first)[1] < DEADLINE_MS / 1000
        await until(lambda: breaker.state is State.CLOSED)
        assert [(await timed(router, user))[0] for user in DEAD] == ["recorded"] * len(DEAD)


async def test_a_row_that_somebody_locks_makes_no_outage(shards: LocalCluster) -> None:
    locked, *others = DEAD
    async with opened_router(shards, deadline_ms=DEADLINE_MS) as router:
        breaker = router.shards["shard2"].postgres.breaker
        await asyncio.gather(*(router.record(make_submission(user, 1)) for user in DEAD))
        states = []
        breaker.watch(lambda error: states.append(str(error)))
        async with connected(shards.shards[1].direct_url) as connection, connection.transaction():
            await connection.execute("select from leaderboard where user_id = $1 for update", locked)
            message, seconds = await timed(router, locked)
        assert message == "Shard shard2 does not answer; try again with the same submissionId."
        assert seconds > SHARD_DOUBT_S
        assert states == []
        assert [(await timed(router, user))[0] for user in others] == ["recorded"] * len(others)


async def test_a_router_starts_without_a_shard_and_serves_the_others(shards: LocalCluster) -> None:
    async with postgres_stopped(shards), opened_router(shards, deadline_ms=DEADLINE_MS) as router:
        assert router.owned() == {"shard1": 1024, "shard2": 0, "shard3": 1024, "shard4": 1024}
        assert {(await timed(router, user))[0] for user in OTHERS} == {"recorded"}
        outcomes = {(await timed(router, user))[0] for user in DEAD[:1]}
        assert outcomes == {
            f"The shard of player {DEAD[0]} does not answer (one of shard2); try again with the same submissionId."
        }


async def test_a_router_that_started_without_a_shard_serves_it_when_it_is_back(shards: LocalCluster) -> None:
    child = shards.child("postgres", 2)
    await child.stop(kill=True)
    try:
        async with opened_router(shards, deadline_ms=DEADLINE_MS) as router:
            assert (await timed(router, DEAD[0]))[0].startswith("The shard of player")
            await child.start()

            async def recorded() -> bool:
                return (await timed(router, DEAD[0]))[0] == "recorded"

            await until(recorded)
            assert router.owned()["shard2"] == 1024
    finally:
        if child.record is None:
            await child.start()
    assert await totals(shards) == {DEAD[0]: (1, 1)}
