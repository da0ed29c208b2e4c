"""`shardboard serve` as an operator meets it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import asyncpg

from app.cli.api_children import api_environment
from infra.local.child import Child
from infra.local.cluster import LocalCluster
from infra.local.ports import find_free_port
from infra.local.processes import started_at
from tests.acceptance.client import Api
from tests.apis import serve_spec
from tests.factories import users_of_shard
from tests.waiting import until

STOP_SECONDS_MAX = 3.0


async def run_serve(**variables: str) -> tuple[int | None, str]:
    """How `shardboard serve` ends by itself: its exit code and what it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "app.cli.main", "serve"),
        env={name: value for name, value in os.environ.items() if not name.startswith("SHARDBOARD_")} | variables,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        _, said = await process.communicate()
    return process.returncode, said.decode()


async def test_a_request_under_way_is_answered_before_the_process_ends(clean: LocalCluster) -> None:
    port = find_free_port({clean.port})
    child = Child(serve_spec(clean, "api-stopped", port), print, lambda: None)
    await child.start()
    api = Api(f"http://127.0.0.1:{port}", clean.identity.server_key)
    (user_id,) = users_of_shard(1, 1)
    await api.submit(userId=str(user_id), username="Ada", score=1)
    locker = await asyncpg.connect(clean.shards[0].direct_url)
    try:
        async with locker.transaction():
            await locker.execute("select from leaderboard where user_id = $1 for update", user_id)
            under_way = asyncio.create_task(api.submit(userId=str(user_id), username="Ada", score=2))

            async def waits() -> bool:
                return bool(await locker.fetchval("select exists (select from pg_locks where not granted)"))

            await until(waits)
            pid = child.pid
            os.kill(pid, signal.SIGTERM)

            async def listens_no_more() -> bool:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    return True
                writer.close()
                return False

            await until(listens_no_more)
            assert not under_way.done()
        assert (await under_way)["standing"]["totalScore"] == 3
        await until(lambda: started_at(pid) is None, STOP_SECONDS_MAX)
    finally:
        await child.stop(kill=True)
        await locker.close()
        await api.http.aclose()


async def test_without_settings_it_says_in_one_line_what_is_missing() -> None:
    assert await run_serve() == (
        1,
        "shardboard: the SHARDBOARD_… variables are not complete: SHARDBOARD_SHARDS: Field required\n",
    )


async def test_when_it_cannot_start_it_says_why_and_fails(clean: LocalCluster) -> None:
    environment = api_environment(clean)
    renamed = environment["SHARDBOARD_SHARDS"].replace('"shard1"', '"shard9"')
    port = str(find_free_port({clean.port}))
    code, said = await run_serve(**environment | {"SHARDBOARD_SHARDS": renamed, "SHARDBOARD_PORT": port})
    assert code == 1
    assert said.splitlines()[-1].startswith("shardboard: ")
    assert "shard9" in said.splitlines()[-1]


async def test_it_stops_on_ctrl_c_as_well(clean: LocalCluster) -> None:
    child = Child(serve_spec(clean, "api-interrupted", find_free_port({clean.port})), print, lambda: None)
    await child.start()
    pid = child.pid
    try:
        os.kill(pid, signal.SIGINT)
        await until(lambda: started_at(pid) is None, STOP_SECONDS_MAX)
    finally:
        await child.stop(kill=True)
