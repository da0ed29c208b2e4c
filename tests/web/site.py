"""The service behind one address, in processes that a test may kill and start again."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import httpx
from redis.asyncio import Redis

from app.cli.api_children import api_environment, read_health
from infra.local.cluster import LocalCluster
from infra.local.ports import find_free_port
from ranking.keys import BoardKeys
from tests.waiting import until

_HEALTHY_SECONDS_MAX = 30
_STOP_SECONDS_MAX = 15


class Site:
    """API processes on one port of the session's cluster, as `make up` runs them.

    Args:
        cluster: where shards and Valkey run.
        processes: how many share the port.
        variables: further SHARDBOARD_… variables.

    Attributes:
        key: the server key, which `http`, `query` and `submit` send.
    """

    def __init__(self, cluster: LocalCluster, processes: int = 1, **variables: str) -> None:
        self.port = find_free_port({cluster.port})
        self.url = f"http://127.0.0.1:{self.port}"
        self._count = processes
        self._redis_url = cluster.redis_url
        environment = api_environment(cluster)
        self.key = environment["SHARDBOARD_SERVER_KEY"]
        self.http = httpx.AsyncClient(base_url=self.url, timeout=10, headers={"authorization": f"Bearer {self.key}"})
        self._environment = os.environ | environment | {"SHARDBOARD_PORT": str(self.port)} | variables
        self._processes: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        """Bring the missing processes up; returns when the service is healthy and its ranks are whole."""
        command = (sys.executable, "-m", "app.cli.main", "serve")
        while len(self._processes) < self._count:
            self._processes.append(await asyncio.create_subprocess_exec(*command, env=self._environment))
        await until(self._is_whole, seconds_max=_HEALTHY_SECONDS_MAX)

    async def kill(self) -> None:
        """End all processes at once, as a crash would; connections break off."""
        for process in self._processes:
            process.kill()
            await process.wait()
        self._processes = []

    async def stop(self) -> None:
        """End all processes in order."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            await asyncio.wait_for(process.wait(), _STOP_SECONDS_MAX)
        self._processes = []

    async def restart(self, **variables: str) -> None:
        """End all processes and start them with these variables beside those from before."""
        await self.stop()
        self._environment = self._environment | variables
        await self.start()

    async def query(self, document: str, **variables: Any) -> dict[str, Any]:
        """The data of one operation that must succeed."""
        answer = await self.http.post("/graphql", json={"query": document, "variables": variables})
        body = answer.json()
        assert "errors" not in body, body
        data: dict[str, Any] = body["data"]
        return data

    async def submit(self, user_id: int, username: str, score: int, **further: Any) -> dict[str, Any]:
        """Record one session; the player's new standing."""
        data = await self.query(
            """
            mutation ($input: SubmitScoreInput!) {
                submitScore(input: $input) { standing { rank totalScore gamesPlayed } }
            }
            """,
            input={"userId": str(user_id), "username": username, "score": score, **further},
        )
        standing: dict[str, Any] = data["submitScore"]["standing"]
        return standing

    async def _is_whole(self) -> bool:
        for process in self._processes:
            assert process.returncode is None, f"ended with {process.returncode} before it was healthy"
        health = await read_health(self.port)
        if health is None or health["status"] != "healthy":
            return False
        async with Redis.from_url(self._redis_url) as redis:
            return bool(await redis.exists(BoardKeys("global").ready))
