"""`shardboard up` as a user meets it: a process, its lines, its port, and its end."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from app.cli.up import describe_addresses
from infra.local.control import add_local_shard
from infra.local.ports import find_free_port
from tests.waiting import until

START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 10.0


@dataclass
class Up:
    """A running `shardboard up`."""

    process: asyncio.subprocess.Process
    data: Path
    port: int
    greeting: list[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def described(self) -> dict[str, Any]:
        described: dict[str, Any] = json.loads((self.data / "cluster.json").read_text())
        return described

    def client(self) -> httpx.AsyncClient:
        """A client with the server key."""
        headers = {"authorization": f"Bearer {self.described()['server_key']}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers)

    def pids(self, role: str) -> set[int]:
        return {process["pid"] for process in self.described()["processes"] if process["role"] == role}

    async def health(self) -> str | None:
        async with httpx.AsyncClient() as client:
            try:
                status = (await client.get(f"{self.url}/health", timeout=5)).json()["status"]
            except httpx.TransportError:
                return None
        return str(status)


@asynccontextmanager
async def up(data: Path, port: int | None = None) -> AsyncIterator[Up]:
    """Start it with 2 shards and 2 API processes, and read its lines until it says how to submit a score."""
    port = port or find_free_port(set())
    command = [sys.executable, "-m", "app.cli.main", "up", "--port", str(port), "--shards", "2", "--data", str(data)]
    process = await asyncio.create_subprocess_exec(
        *command, "--api-processes", "2", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(START_SECONDS_MAX):
            while not (lines and lines[-1].lstrip().startswith("-d ")):
                line = await process.stdout.readline()
                assert line, lines
                lines.append(line.decode().rstrip("\n"))
        yield Up(process, data, port, lines)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_prints_a_curl_that_works_and_stops_without_a_trace(tmp_path: Path, number: signal.Signals) -> None:
    async with up(tmp_path / "data") as running:
        assert running.greeting[:4] == [
            "starting 2 PostgreSQL shards and Valkey",
            "starting 2 PgBouncers",
            "migrating the shards",
            "starting 2 API processes",
        ]
        assert f"  API        {running.url}/graphql, and as REST {running.url}/api/" in running.greeting
        curl = shlex.split("\n".join(running.greeting[-3:]).replace("\\\n", ""))
        asked = await asyncio.create_subprocess_exec(*curl, stdout=asyncio.subprocess.PIPE)
        answer = json.loads((await asked.communicate())[0])
        assert answer == {"data": {"submitScore": {"standing": {"rank": 1, "totalScore": 1200}}}}

        roles = [process["role"] for process in running.described()["processes"]]
        assert sorted(roles) == ["api"] * 2 + ["pgbouncer"] * 2 + ["postgres"] * 2 + ["supervisor", "valkey"]
        assert running.pids("supervisor") == {running.process.pid}
        family = psutil.Process(running.process.pid).children(recursive=True)

        asked_at = time.monotonic()
        running.process.send_signal(number)
        output, _ = await running.process.communicate()
        assert time.monotonic() - asked_at < STOP_SECONDS_MAX
        assert running.process.returncode == 0
        assert output.decode().split() == ["stopping", "stopped"]
        assert [process for process in family if is_alive(process)] == []
        assert running.described()["processes"] == []
        assert running.described()["graphql_url"] == f"{running.url}/graphql"


def test_it_says_where_the_board_is_or_how_to_get_it() -> None:
    assert describe_addresses("http://127.0.0.1:8000", built=True).splitlines() == [
        "  Board      http://127.0.0.1:8000/",
        "  API        http://127.0.0.1:8000/graphql, and as REST http://127.0.0.1:8000/api/",
        "  GraphiQL   http://127.0.0.1:8000/graphql (in a browser)",
        "  REST docs  http://127.0.0.1:8000/docs (in a browser)",
    ]
    assert describe_addresses("http://127.0.0.1:8000", built=False).splitlines() == [
        "  API        http://127.0.0.1:8000/graphql, and as REST http://127.0.0.1:8000/api/",
        "  Board      not built; `make web` builds it, GraphiQL and /docs",
    ]


async def test_a_killed_api_process_is_started_again(tmp_path: Path) -> None:
    async with up(tmp_path / "data") as running:
        before = running.pids("api")
        killed = min(before)
        os.kill(killed, signal.SIGKILL)
        await until(lambda: len(running.pids("api") - before) == 1 and len(running.pids("api")) == 2)
        assert running.pids("api") & before == before - {killed}

        async def is_healthy() -> bool:
            return await running.health() == "healthy"

        await until(is_healthy)


async def test_after_a_kill_of_everything_each_acknowledged_score_is_there(tmp_path: Path) -> None:
    submit = 'mutation ($user: ID!) { submitScore(input: {userId: $user, username: "p", score: 1}) { duplicate } }'
    async with up(tmp_path / "data") as running:
        family = psutil.Process(running.process.pid).children(recursive=True)
        async with running.client() as client:
            for number in range(40):
                answer = await client.post("/graphql", json={"query": submit, "variables": {"user": str(number)}})
                assert answer.json() == {"data": {"submitScore": {"duplicate": False}}}
        for process in [psutil.Process(running.process.pid), *family]:
            if is_alive(process):
                process.kill()
        await running.process.wait()

    async with up(tmp_path / "data") as running, running.client() as client:
        query = {"query": "{ leaderboard(first: 1) { totalCount nodes { totalScore } } }"}

        async def has_all() -> bool:
            answer = (await client.post("/graphql", json=query)).json()
            return bool(
                answer["data"] and answer["data"]["leaderboard"] == {"totalCount": 40, "nodes": [{"totalScore": 1}]}
            )

        await until(has_all)


async def test_a_shard_that_was_added_beside_it_comes_up_with_the_next_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with up(data) as running:
        added = await add_local_shard(data, "eu1")
        assert len(running.pids("postgres")) == len(running.pids("pgbouncer")) == 3
        running.process.send_signal(signal.SIGTERM)
        output, _ = await running.process.communicate()
        assert output.decode().strip().splitlines() == [
            "adding the shard eu1",
            "added the shard eu1",
            "stopping",
            "stopped",
        ]
        assert running.described()["control"] is None

    async with up(data) as running:
        assert running.greeting[:2] == ["starting 3 PostgreSQL shards and Valkey", "starting 3 PgBouncers"]
        assert running.described()["shards"][2] == asdict(added)
        assert await running.health() == "healthy"


async def test_a_taken_port_is_one_line_and_an_exit_code(tmp_path: Path) -> None:
    async with up(tmp_path / "data") as running:
        command = [sys.executable, "-m", "app.cli.main", "up", "--data", str(tmp_path / "other")]
        second = await asyncio.create_subprocess_exec(
            *command, "--port", str(running.port), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        output, errors = await second.communicate()
        assert second.returncode == 1
        assert output == b""
        assert errors.decode().startswith(f"shardboard: port {running.port} is taken by another program; choose ")
        assert errors.count(b"\n") == 1
        assert await running.health() == "healthy"


async def test_stopping_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "app.cli.main", "up", "--port", str(find_free_port(set())), "--shards", "2"]
    process = await asyncio.create_subprocess_exec(
        *command, "--data", str(tmp_path / "data"), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"starting 2 PostgreSQL shards and Valkey\n"
    await until(lambda: len(psutil.Process(process.pid).children()) >= 2)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    output, _ = await process.communicate()
    assert process.returncode == 0
    assert output.decode().split()[-2:] == ["stopping", "stopped"]
    assert [child for child in family if is_alive(child)] == []
