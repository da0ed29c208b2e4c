"""`shardboard shards add`, `rebalance`, `drain`, `remove` and what steers them, as an operator gives them."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from db.directory import DirectoryEntry
from infra.local.cluster import LocalCluster
from infra.local.ports import find_free_port
from service.prepare import migrate_shards
from tests.cli.movers import terminal
from tests.cli.shell import Finished, query, shardboard
from tests.conftest import MakeCluster
from tests.db.shards import connected

PLAYERS, SESSIONS = 300, 1_500


@pytest.fixture(scope="module")
async def three() -> AsyncIterator[LocalCluster]:
    """A deployment with players that was made with 2 shards and got a third; each test finds what the last one left."""
    directory = Path(tempfile.mkdtemp(prefix="shardboard-"))
    async with LocalCluster(directory / "data", 2, announce=print).running() as cluster:
        shards = [DirectoryEntry(shard.name, shard.url, shard.direct_url) for shard in cluster.shards]
        assert [shard.error for shard in await migrate_shards(shards, back_days=30, months_ahead=3)] == [None, None]
        await done(cluster, "seed", "--players", PLAYERS, "--sessions", SESSIONS)
        added = await done(cluster, "shards", "add", "eu3", "--local")
        assert added.out == "eu3 is a shard; `shardboard shards rebalance` gives it its part\n"
        assert await buckets(cluster) == {"shard1": 2048, "shard2": 2048, "eu3": 0}
        yield cluster
    shutil.rmtree(directory)


@pytest.fixture
async def candidate(make_cluster: MakeCluster) -> AsyncIterator[LocalCluster]:
    """A PostgreSQL and its PgBouncer that are no shard yet."""
    async with make_cluster(1) as cluster:
        yield cluster


async def done(cluster: LocalCluster, *arguments: object) -> Finished:
    """A command that has to succeed."""
    finished = await shardboard(cluster, *arguments)
    assert finished.code == 0, finished.err
    return finished


async def refused(cluster: LocalCluster, *arguments: object) -> str:
    """What a command says that has to be refused, in its one last line."""
    finished = await shardboard(cluster, *arguments)
    assert finished.code == 1, finished.out
    last = finished.err.splitlines()[-1]
    assert last.startswith("shardboard: ")
    return last


async def listed(cluster: LocalCluster) -> dict[str, Any]:
    """The shards of `shards list` by name."""
    return {shard["name"]: shard for shard in (await done(cluster, "shards", "list", "--json")).json["shards"]}


async def buckets(cluster: LocalCluster) -> dict[str, int]:
    return {name: shard["buckets"] for name, shard in (await listed(cluster)).items()}


async def moves(cluster: LocalCluster) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await done(cluster, "shards", "status", "--json")).json["moves"]
    return found


@asynccontextmanager
async def nothing_switched(cluster: LocalCluster) -> AsyncIterator[None]:
    """Within the block no bucket can be frozen, as beside long transactions, so that moves stay under way."""
    async with AsyncExitStack() as stack:
        for shard in cluster.shards:
            connection = await stack.enter_async_context(connected(shard.direct_url))
            await stack.enter_async_context(connection.transaction())
            await connection.execute("lock table bucket_owner in row share mode")
        yield


async def all_is_well(cluster: LocalCluster) -> None:
    verified = (await done(cluster, "shards", "verify", "--json")).json
    assert verified == {"players": PLAYERS, "sessions": SESSIONS, "copies": 0, "faults": 0, "named": []}
    assert (await done(cluster, "ranks", "verify", "--json")).json["standings"] == PLAYERS


async def test_a_shard_that_was_added_gets_its_part(three: LocalCluster) -> None:
    # Given again, as after a command that was cut short.
    await done(three, "shards", "add", "eu3", "--local")
    shown = await done(three, "shards", "rebalance", "--dry-run")
    assert "1: shard1 → eu3" in shown.out
    assert await buckets(three) == {"shard1": 2048, "shard2": 2048, "eu3": 0}
    assert await moves(three) == []

    ran = await done(three, "shards", "rebalance")
    assert sorted((await buckets(three)).values()) == [1365, 1365, 1366]
    assert ran.out.splitlines()[-1].startswith("1,365 buckets with ")
    told = await moves(three)
    assert {(move["source"], move["target"], move["phase"]) for move in told} == {
        ("shard1", "eu3", "done"),
        ("shard2", "eu3", "done"),
    }
    assert sum(move["buckets_switched"] for move in told) == 1365
    assert (await done(three, "shards", "rebalance")).out == "there is nothing to move\n"
    await all_is_well(three)


async def test_a_plan_is_carried_out_by_whoever_comes_next(three: LocalCluster) -> None:
    async with nothing_switched(three), terminal(three, "shards", "drain", "eu3") as mover:
        await mover.until_says("copying")
        assert "worked on by shardboard moving" in await refused(three, "shards", "rebalance")
        assert "worked on by shardboard moving" in await refused(three, "shards", "add", "shard4", "--local")
        mover.kill()
        await mover.ended()
    told = await done(three, "shards", "status")
    assert "nobody works on it: `shards resume` goes on" in told.out
    assert "A plan is under way" in await refused(three, "shards", "rebalance")
    await done(three, "shards", "resume")
    assert await buckets(three) == {"shard1": 2048, "shard2": 2048, "eu3": 0}
    await all_is_well(three)


async def test_moves_are_steered_from_another_terminal(three: LocalCluster) -> None:
    before = await buckets(three)
    async with terminal(three, "shards", "move", "0-99,3000-3100", "--to", "eu3") as mover:
        async with nothing_switched(three):
            await mover.until_says("copying")
            assert "are to rest" in (await done(three, "shards", "pause")).out
            await mover.until_says("paused; `shardboard shards resume` goes on")
        assert "carried out by shardboard moving" in (await done(three, "shards", "status")).out
        assert "goes on" in (await done(three, "shards", "resume")).out
        code, _ = await mover.ended()
        assert code == 0
    assert (await buckets(three))["eu3"] == before["eu3"] + 201
    await done(three, "shards", "revert")
    assert await buckets(three) == before
    await all_is_well(three)


async def test_ctrl_c_leaves_a_plan_that_can_be_taken_back(three: LocalCluster) -> None:
    async with nothing_switched(three), terminal(three, "shards", "drain", "shard1") as mover:
        await mover.until_says("copying")
        mover.kill(signal.SIGINT)
        code, _ = await mover.ended()
        assert code == 130
        assert mover.lines[-2:] == [
            "stopped where it was; no bucket stays frozen",
            "`shardboard shards resume` goes on, `shardboard shards abort` takes it back",
        ]
    aborted = await done(three, "shards", "abort")
    assert aborted.out.splitlines()[-1].endswith("move(s) were taken back")
    assert {move["phase"] for move in await moves(three)} <= {"aborted", "done"}
    assert "No move is under way" in await refused(three, "shards", "abort")
    await all_is_well(three)


async def test_kept_copies_are_cleaned_up_when_told(three: LocalCluster) -> None:
    before = await buckets(three)
    await done(three, "shards", "move", "0-20,4000-4020", "--to", "eu3", "--keep-copies")
    assert "are copies of moves" in (await done(three, "shards", "verify")).out
    assert "copies at the sources wait for the clean-up" in (await done(three, "shards", "status")).out
    assert "there is nothing to abort" in await refused(three, "shards", "abort")
    await done(three, "shards", "clean-up")
    assert (await done(three, "shards", "clean-up")).out == "no move has kept copies\n"
    assert (await buckets(three))["eu3"] == before["eu3"] + 42
    await all_is_well(three)


async def test_what_cannot_be_a_shard_is_refused(three: LocalCluster, candidate: LocalCluster) -> None:
    (other,) = candidate.shards
    urls = ("--url", other.url, "--direct-url", other.direct_url)
    nowhere = make_url(other.url).set(port=find_free_port(set())).render_as_string(hide_password=False)
    before = await query(three, "select * from shard_directory order by name")
    owned = await buckets(three)

    assert "The address of more leads to the shard 'shard2'" in await refused(
        three, "shards", "add", "more", "--url", three.shards[1].url, "--direct-url", three.shards[1].direct_url
    )
    assert "lead to different databases" in await refused(
        three, "shards", "add", "more", "--url", three.shards[1].url, "--direct-url", other.direct_url
    )
    assert "The address through PgBouncer does not answer" in await refused(
        three, "shards", "add", "more", "--url", nowhere, "--direct-url", other.direct_url
    )
    assert "Shard more does not answer" in await refused(
        three, "shards", "add", "more", "--url", other.url, "--direct-url", nowhere
    )
    async with connected(other.direct_url) as connection:
        await connection.execute("create table invoices (id bigint)")
        assert "is not empty: it holds 1 table(s), the first is invoices" in await refused(
            three, "shards", "add", "more", *urls
        )
        await connection.execute("drop table invoices")
    superuser = make_url(other.direct_url).set(username="postgres", password=candidate.identity.superuser_password)
    async with connected(superuser.render_as_string(hide_password=False)) as connection:
        await connection.execute("alter system set wal_level = replica")
        await connection.execute("alter system set max_wal_senders = 0")
    await candidate.child("postgres").stop()
    await candidate.child("postgres").start()
    assert "has wal_level = replica; moves need `wal_level = logical`" in await refused(
        three, "shards", "add", "more", *urls
    )
    async with connected(other.direct_url) as connection:
        assert await connection.fetchval("select count(*) from pg_class where relname = 'shard_info'") == 0
    assert await query(three, "select * from shard_directory order by name") == before
    assert await buckets(three) == owned


async def test_a_postgres_from_elsewhere_is_taken_in(three: LocalCluster, candidate: LocalCluster) -> None:
    (other,) = candidate.shards
    urls = ("--url", other.url, "--direct-url", other.direct_url)
    await done(three, "shards", "add", "more", *urls, "--capacity", "1M")
    assert "has no room" in await refused(three, "shards", "rebalance")
    # Given again, the command changes what it may hold.
    await done(three, "shards", "add", "more", *urls, "--capacity", "2G")
    await done(three, "shards", "rebalance", "--by", "players")
    assert (await buckets(three))["more"] > 0
    await all_is_well(three)
    await done(three, "shards", "drain", "more")
    await done(three, "shards", "remove", "more")
    assert "more" not in await buckets(three)
    await all_is_well(three)


async def test_a_shard_that_owns_nothing_can_go(three: LocalCluster) -> None:
    owned = (await buckets(three))["shard1"]
    assert await refused(three, "shards", "remove", "shard1", "--local") == (
        f"shardboard: Shard shard1 owns {owned} buckets; `shardboard shards drain shard1` moves them to the others. "
        "Nothing was changed."
    )
    await done(three, "shards", "drain", "shard1")
    assert (await buckets(three))["shard1"] == 0
    await done(three, "shards", "remove", "shard1", "--local")
    # Given again, as after a command that was cut short at its very end.
    assert (await done(three, "shards", "remove", "shard1", "--local")).out == "shard1 is no shard any more\n"
    # Its name is taken for ever: others remember that they gave it buckets.
    again = await refused(three, "shards", "add", "shard1", "--local")
    assert "There was a shard shard1 before, and it was removed" in again
    assert [shard.name for shard in three.shards] == ["shard2", "eu3"]
    assert "There is no shard 'nobody'" in await refused(three, "shards", "remove", "nobody", "--local")
    assert sorted(await buckets(three)) == ["eu3", "shard2"]
    assert [shard.name for shard in three.shards] == ["shard2", "eu3"]
    assert await query(three, "select name from shard_directory where removed and name = 'shard1'") == [("shard1",)] * 2
    await all_is_well(three)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "x"), "Give either --local, or both --url and --direct-url."),
        (("add", "x", "--local", "--url", "postgresql://h/d"), "Give either --local, or both"),
        (("add", "x", "--local", "--capacity", "much"), "'much' is no size"),
        (("rebalance", "--by", "weather"), "'weather' is not one of 'buckets', 'players', 'bytes'"),
        (("move", "1"), "Missing option '--to'"),
    ],
)
async def test_wrong_words_are_explained(clean: LocalCluster, arguments: tuple[str, ...], says: str) -> None:
    finished = await shardboard(clean, "shards", *arguments)
    assert finished.code == 2
    assert says in " ".join(finished.err.split())


async def test_wrong_buckets_and_shards_are_explained(clean: LocalCluster) -> None:
    assert "4096" in await refused(clean, "shards", "move", "4096", "--to", "shard2")
    assert "x" in await refused(clean, "shards", "move", "x", "--to", "shard2")
    assert "shard1, shard2, shard3, shard4" in await refused(clean, "shards", "drain", "shard9")
    assert "No move is under way" in await refused(clean, "shards", "pause")
    assert "There is nothing to revert" in await refused(clean, "shards", "revert")
    assert (await done(clean, "shards", "status")).out == "no buckets were ever moved\n"
