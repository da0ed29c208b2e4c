"""An upgrade under traffic, on real tables: the version before, this one, and a next one that expands and contracts."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.cli.api_children import api_environment
from db.schema import needed_revision, newest_revision
from infra.local.child import Child
from infra.local.cluster import LocalCluster
from infra.local.ports import find_free_port
from tests.acceptance.client import Api
from tests.apis import serve_spec
from tests.conftest import MakeCluster
from tests.db.shards import connected
from tests.upgrade.traffic import PLAYERS, Traffic, playing
from tests.upgrade.trees import ROOT, make_version_after, unpack_version_before
from tests.waiting import until

HERE = newest_revision()
EXPANDED, INDEXED, CONTRACTED = (f"{int(HERE) + n:04}" for n in (1, 2, 3))


class Upgrade:
    """A cluster, and the versions whose commands and processes work on it."""

    def __init__(self, cluster: LocalCluster, traffic: Traffic, stack: AsyncExitStack) -> None:
        self.cluster = cluster
        self.traffic = traffic
        self._stack = stack
        self._children: dict[str, Child] = {}

    async def begin(
        self, *arguments: str, tree: Path = ROOT, variables: dict[str, str] | None = None
    ) -> asyncio.subprocess.Process:
        """Begin a command of a version."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app.cli.main", *arguments),
            cwd=tree,
            env=os.environ | (variables or {}),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def migrate(self, *arguments: str, tree: Path = ROOT) -> tuple[int | None, str]:
        """How `shardboard migrate` of a version ends, and what it says."""
        process = await self.begin("migrate", *arguments, "--data", str(self.cluster.data), tree=tree)
        async with asyncio.timeout(60):
            said, _ = await process.communicate()
        return process.returncode, said.decode()

    async def serve_in_vain(self) -> str:
        """What an API process of this version says that refuses to start."""
        process = await self.begin("serve", variables=api_environment(self.cluster))
        async with asyncio.timeout(30):
            said, _ = await process.communicate()
        assert process.returncode == 1
        return said.decode()

    async def serve(self, version: str, tree: Path = ROOT) -> Api:
        """Start an API process of a version, which takes its part of the traffic from then on and is watched."""
        port = find_free_port({self.cluster.port})
        spec = replace(serve_spec(self.cluster, f"api-{version}", port), options={"cwd": tree})
        child = self._children[version] = Child(spec, print, lambda: None)
        await child.start()
        self._stack.push_async_callback(child.stop)
        api = Api(f"http://127.0.0.1:{port}", self.cluster.identity.server_key)
        self._stack.push_async_callback(api.http.aclose)
        self.traffic.apis[version] = api
        self.traffic.watch(version)
        return api

    async def retire(self, version: str) -> None:
        """End the process of a version as in a rolling upgrade: no more traffic first, then SIGTERM."""
        await self.traffic.leave(version)
        await self._children[version].stop()


@pytest.fixture
async def upgrade(make_cluster: MakeCluster) -> AsyncIterator[Upgrade]:
    """A cluster of two shards without tables."""
    async with make_cluster(shard_count=2) as cluster, AsyncExitStack() as stack:
        traffic = await stack.enter_async_context(playing())
        yield Upgrade(cluster, traffic, stack)


async def health_of(api: Api) -> dict[str, Any]:
    response = await api.http.get("/health")
    schema: dict[str, Any] = response.json()["schema"]
    return schema | {"status": response.status_code}


@asynccontextmanager
async def holding_a_snapshot(cluster: LocalCluster) -> AsyncIterator[None]:
    """Somebody who looks at the tables as they were and does not end: no index becomes valid meanwhile."""
    async with (
        connected(cluster.shards[0].direct_url) as connection,
        connection.transaction(isolation="repeatable_read"),
    ):
        await connection.execute("set local idle_in_transaction_session_timeout = 0; select from boards")
        yield


async def is_building(cluster: LocalCluster) -> bool:
    async with connected(cluster.shards[0].direct_url) as connection:
        return bool(await connection.fetchval("select exists (select from pg_stat_progress_create_index)"))


async def is_over(cluster: LocalCluster) -> bool:
    return not await is_building(cluster)


async def index_is_valid(cluster: LocalCluster) -> bool | None:
    async with connected(cluster.shards[0].direct_url) as connection:
        valid: bool | None = await connection.fetchval(
            "select indisvalid from pg_index where indexrelid = to_regclass('players_country_idx')"
        )
        return valid


# It starts some ten processes; on a busy machine each of them takes seconds.
@pytest.mark.timeout(300)
async def test_nothing_fails_while_the_tables_change(upgrade: Upgrade, tmp_path: Path) -> None:
    traffic, cluster = upgrade.traffic, upgrade.cluster
    before, after = unpack_version_before(tmp_path / "before"), make_version_after(tmp_path / "after")

    # The version before serves, and this one does not serve its tables.
    code, said = await upgrade.migrate(tree=before)
    assert code == 0, said
    await upgrade.serve("before", before)
    await traffic.reaches("before")
    said = await upgrade.serve_in_vain()
    assert f"older than {needed_revision()}, which this version needs; run `shardboard migrate`" in said

    # Expand, while it serves; then both serve.
    migrating = asyncio.create_task(upgrade.migrate())
    await traffic.reaches("before")
    code, said = await migrating
    assert (code, said.count(f"at schema {HERE} now, was at ")) == (0, 2), said
    here = await upgrade.serve("here")
    await traffic.reaches("before", "here")
    await upgrade.retire("before")

    # The next version expands these tables. It is killed in the middle of an index, and run again.
    async with holding_a_snapshot(cluster):
        doomed = await upgrade.begin("migrate", "--data", str(cluster.data), tree=after)
        await until(lambda: is_building(cluster), seconds_max=60)
        doomed.kill()
        await doomed.wait()
        await until(lambda: is_over(cluster))
        assert await index_is_valid(cluster) is False
        await traffic.reaches("here")
    code, said = await upgrade.migrate(tree=after)
    assert code == 0, said
    assert said.count(f"at schema {INDEXED} now") == 2
    assert f"{CONTRACTED} (contract): run by `shardboard migrate --contract`" in said
    assert await index_is_valid(cluster) is True
    await upgrade.serve("after", after)
    await traffic.reaches("here", "after")
    assert await health_of(here) == {
        "status": 200,
        "state": "expanded",
        "needed": needed_revision(),
        "known": HERE,
        "shards": {"shard1": INDEXED, "shard2": INDEXED},
    }

    # It does not contract them while this version serves.
    code, said = await upgrade.migrate("--dry-run", "--contract", tree=after)
    assert (code, said.count(f"would run {CONTRACTED} (contract): Names of boards.")) == (0, 2), said
    assert said.count("would be refused") == 2
    code, said = await upgrade.migrate("--contract", tree=after)
    assert code == 1
    assert f"Migration {CONTRACTED} (contract) takes away what processes of an older version use" in said
    assert f"shardboard 0.1.0 (schema {HERE}) on " in said
    assert said.endswith("Nothing was done.\n")
    await traffic.reaches("here", "after")
    await upgrade.retire("here")
    code, said = await upgrade.migrate("--contract", tree=after)
    assert (code, said.count(f"at schema {CONTRACTED} now, was at {INDEXED}")) == (0, 2), said
    await traffic.reaches("after")

    # From here on this version refuses to serve, and to migrate.
    said = await upgrade.serve_in_vain()
    assert f"contracted by migration {CONTRACTED} of a newer version, and this one knows {HERE} at most" in said
    code, said = await upgrade.migrate()
    assert (code, said.count("cannot be migrated")) == (1, 2), said

    # Nothing was lost, and nothing counted twice.
    last = traffic.apis["after"]
    await traffic.stop()
    assert all(traffic.shown[version] > 0 for version in ("before", "here", "after"))
    asked = ", ".join(f'"{user_id}"' for user_id in range(1, PLAYERS + 1))
    data = await last.ask(f"{{ ranks(userIds: [{asked}]) {{ userId totalScore gamesPlayed rank }} }}")
    found = {int(each["userId"]): (each["totalScore"], each["gamesPlayed"]) for each in data["ranks"]}
    assert found == {user_id: (traffic.totals[user_id], traffic.games[user_id]) for user_id in traffic.totals}
    best = sorted(traffic.totals.values(), reverse=True)
    assert sorted(each["rank"] for each in data["ranks"]) == sorted(best.index(total) + 1 for total in best)
