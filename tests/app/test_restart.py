"""API processes that end under load, and come back: nothing acknowledged is lost, no client that retries once fails."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from infra.local.cluster import LocalCluster
from infra.local.processes import started_at
from tests.acceptance.client import SUBMIT
from tests.apis import key_of, running_apis, until_ranks_are_whole, url_of
from tests.app.test_up import up
from tests.cli.shell import shardboard
from tests.factories import make_id
from tests.waiting import until

CLIENTS = 12
STOP_SECONDS_MAX = 4.0


class Load:
    """Clients that submit one session after the other: half of them over kept connections, half over fresh ones.

    Args:
        key: a server key.

    Attributes:
        acknowledged: the ids that were answered.
        unanswered: what the others were told at their last try.
        retried: how often a try that was not the last one failed, by why.
    """

    def __init__(self, url: str, key: str, *, tries: int) -> None:
        self.url = url
        self._headers = {"authorization": f"Bearer {key}"}
        self.tries = tries
        self.acknowledged: set[str] = set()
        self.unanswered: dict[str, str] = {}
        self.retried: Counter[str] = Counter()
        self._is_over = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Under way when the block begins."""
        tasks = [asyncio.create_task(self._submit_all(number)) for number in range(CLIENTS)]
        try:
            await self.goes_on()
            yield
        finally:
            self._is_over = True
            await asyncio.gather(*tasks)

    async def goes_on(self) -> None:
        """Wait for a few more answers to each client."""
        wanted = len(self.acknowledged) + 5 * CLIENTS
        await until(lambda: len(self.acknowledged) > wanted)

    async def submit(self, kept: httpx.AsyncClient | None, id_: str) -> None:
        """Submit the session of this id."""
        fields = {"userId": str(int(id_[-4:], 16)), "username": "Ada", "score": 1, "submissionId": id_}
        for attempt in range(1, self.tries + 1):
            trouble = await self._try(kept, {"query": SUBMIT, "variables": {"input": fields}})
            if trouble is None:
                self.acknowledged.add(id_)
                return
            if attempt < self.tries:
                self.retried[trouble] += 1
            else:
                self.unanswered[id_] = trouble

    async def _submit_all(self, number: int) -> None:
        async with httpx.AsyncClient(timeout=20) as kept:
            while not self._is_over:
                await self.submit(kept if number % 2 else None, str(make_id()))

    async def _try(self, kept: httpx.AsyncClient | None, body: dict[str, Any]) -> str | None:
        try:
            if kept is not None:
                response = await kept.post(f"{self.url}/graphql", json=body, headers=self._headers)
            else:
                # Certificates take longer to read than all the rest.
                async with httpx.AsyncClient(timeout=20, verify=False) as fresh:
                    response = await fresh.post(f"{self.url}/graphql", json=body, headers=self._headers)
        except httpx.TransportError as error:
            return f"{'kept' if kept else 'fresh'}: {error!r}"
        return None if response.status_code == 200 and "errors" not in response.json() else response.text


async def recorded_ids(direct_urls: list[str]) -> Counter[str]:
    """How often each session is on the shards."""
    found: Counter[str] = Counter()
    for url in direct_urls:
        connection = await asyncpg.connect(url)
        found.update(str(row[0]) for row in await connection.fetch("select id from game_sessions"))
        await connection.close()
    return found


async def test_a_process_that_is_told_to_end_under_load_loses_nothing(clean: LocalCluster) -> None:
    direct_urls = [shard.direct_url for shard in clean.shards]
    async with running_apis(clean, ("ends",)) as (child,):
        await until_ranks_are_whole(clean)
        load = Load(url_of(child), key_of(child), tries=1)
        async with load.running():
            pid = child.pid
            os.kill(pid, signal.SIGTERM)
            # Who is impatient says it again, and must not cut it short.
            for _ in range(20):
                await asyncio.sleep(0)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            await until(lambda: started_at(pid) is None, STOP_SECONDS_MAX)
        recorded = await recorded_ids(direct_urls)
        assert load.acknowledged <= recorded.keys() <= load.acknowledged | load.unanswered.keys()
        # Whoever was not answered sends the same again to the one that comes after it.
        await child.until_ready()
        again, load.unanswered = list(load.unanswered)[:50], {}
        for id_ in again:
            await load.submit(None, id_)
        assert load.unanswered == {}
        recorded = await recorded_ids(direct_urls)
        assert load.acknowledged <= recorded.keys()
        assert set(recorded.values()) == {1}


async def test_a_restart_of_all_processes_fails_no_client_that_retries_once(tmp_path: Path) -> None:
    async with up(tmp_path) as service:
        load = Load(service.url, service.described()["server_key"], tries=2)
        before = service.pids("api")
        assert len(before) == 2
        async with load.running():
            for _ in range(2):
                finished = await shardboard(None, "restart", "--data", service.data)
                assert (finished.code, finished.out) == (0, "all API processes were restarted\n")
                await load.goes_on()
        assert not service.pids("api") & before
        assert load.unanswered == {}
        recorded = await recorded_ids([shard["direct_url"] for shard in service.described()["shards"]])
        assert recorded == dict.fromkeys(load.acknowledged, 1)
        # Hardly anybody has to retry at all.
        assert load.retried.total() < len(load.acknowledged) / 100, load.retried
