"""Several PgBouncers before one shard: connections are spread over them, and one that is away costs no answer."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from db.address import addresses_of, conninfo_of
from db.history import NEWEST, HistoryRequest
from domain.errors import OperatorError
from infra.local.cluster import LocalCluster
from sharding.router import Router
from tests.factories import make_settings, make_submission, users_of_shard
from tests.sharding.poolers import Poolers, running_poolers
from tests.sharding.routers import opened_router
from tests.waiting import until

USERS = users_of_shard(1, 16)


class Load:
    """What clients of a shard are told who go on submitting and reading."""

    def __init__(self) -> None:
        self.recorded = dict.fromkeys(USERS, 0)
        self.errors: list[Exception] = []
        self.longest_s = 0.0

    async def go_on(self, router: Router, user_id: int) -> None:
        while True:
            began = time.monotonic()
            try:
                outcomes = await router.record(make_submission(user_id, 1))
                assert outcomes.outcome == "recorded"
                self.recorded[user_id] += 1
                rows = await router.history(user_id, lambda bucket: HistoryRequest(bucket, user_id, NEWEST, None, 1))
                assert rows.games_played == self.recorded[user_id]
            except Exception as error:
                self.errors.append(error)
            self.longest_s = max(self.longest_s, time.monotonic() - began)

    async def more(self, how_many: int) -> None:
        """Wait until so many more submissions are recorded."""
        wanted = sum(self.recorded.values()) + how_many
        await until(lambda: sum(self.recorded.values()) >= wanted)


@asynccontextmanager
async def loaded(cluster: LocalCluster) -> AsyncIterator[tuple[Poolers, Load]]:
    async with running_poolers(cluster) as poolers:
        shards = make_settings(cluster).shards
        first = {"name": shards[0].name, "url": poolers.url}
        async with opened_router(cluster, shards=[first, *shards[1:]]) as router:
            load = Load()
            clients = [asyncio.create_task(load.go_on(router, user_id)) for user_id in USERS]
            try:
                await load.more(50)
                yield poolers, load
            finally:
                for client in clients:
                    client.cancel()
                await asyncio.gather(*clients, return_exceptions=True)


def both_are_used(poolers: Poolers) -> Callable[[], bool]:
    return lambda: min(poolers.clients()) > 0


async def test_one_of_two_is_killed_under_load(clean: LocalCluster) -> None:
    async with loaded(clean) as (poolers, load):
        await until(both_are_used(poolers))
        poolers.children[0].crash()
        await load.more(200)
        await poolers.children[0].until_ready()
        await until(both_are_used(poolers))
        await load.more(50)
        assert load.errors == []
        assert load.longest_s < 2


async def test_one_of_two_hangs_under_load(clean: LocalCluster) -> None:
    async with loaded(clean) as (poolers, load):
        await until(both_are_used(poolers))
        pid = poolers.children[1].pid
        os.kill(pid, signal.SIGSTOP)
        try:
            await load.more(200)
        finally:
            os.kill(pid, signal.SIGCONT)
        # What it holds of before was closed meanwhile: what is open then was opened since.
        await until(both_are_used(poolers))
        await load.more(50)
        assert load.errors == []
        assert load.longest_s < 2.5


async def test_an_address_of_several_hosts_is_one_for_each() -> None:
    assert addresses_of("postgresql://u:p%40x@a:1,[::1]:2,c/db?sslmode=require") == [
        "postgresql://u:p%40x@a:1/db?sslmode=require",
        "postgresql://u:p%40x@[::1]:2/db?sslmode=require",
        "postgresql://u:p%40x@c/db?sslmode=require",
    ]
    assert addresses_of("postgresql://u:p@a:1/db") == ["postgresql://u:p@a:1/db"]


@pytest.mark.parametrize("hosts", ["a:1,", "a:1,b:x", ",a"])
async def test_a_wrong_one_among_several_is_refused(hosts: str) -> None:
    with pytest.raises(OperatorError, match="The address of a shard"):
        addresses_of(f"postgresql://u:p@{hosts}/db")


async def test_only_traffic_may_be_spread() -> None:
    with pytest.raises(OperatorError, match="only `url` may name several PgBouncers"):
        conninfo_of("postgresql://u:p@a:1,b:2/db")
