"""Shards that come and go while a cluster runs, and what a restart, a failure or a kill leaves of them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from domain.errors import OperatorError
from infra.local import change_shards
from infra.local.cluster import LocalCluster
from infra.local.cluster_file import ShardUrls
from infra.local.control import add_local_shard, remove_local_shard
from infra.local.identity import ShardPorts, load_identity, save_identity
from infra.local.postgres import OWNER, SERVICE_ROLE
from infra.local.shard_name import require_shard_name
from tests.conftest import MakeCluster
from tests.infra.clusters import everything_in, is_alive, read_cluster_file, refusal_of, supervised
from tests.waiting import until


@pytest.fixture(scope="module")
async def small() -> AsyncIterator[LocalCluster]:
    """A cluster of one shard, for tests that leave it as they found it."""
    directory = Path(tempfile.mkdtemp(prefix="shardboard-"))
    async with LocalCluster(directory / "data", 1, announce=print).running() as running:
        yield running
    shutil.rmtree(directory)


async def ask(url: str, query: str) -> Any:
    connection = await asyncpg.connect(url, statement_cache_size=0, timeout=10)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def kept_identity(data: Path) -> dict[str, Any]:
    identity: dict[str, Any] = json.loads((data / "identity.json").read_text())
    return identity


def names_in(data: Path) -> tuple[list[str], list[str], list[str]]:
    """The shards by identity.json, its unfinished ones, and the shards by cluster.json."""
    identity = kept_identity(data)
    told = [shard["name"] for shard in read_cluster_file(data)["shards"]]
    return [shard["name"] for shard in identity["shards"]], identity["unfinished"], told


def as_it_is(cluster: LocalCluster) -> tuple[str, str, list[str], set[str]]:
    """Everything that adding and removing change; they leave no trace in it when they are refused."""
    files = [(cluster.data / name).read_text() for name in ("identity.json", "cluster.json")]
    running = [f"{child.spec.role} {child.spec.name} {child.pid}" for child in cluster.children]
    return files[0], files[1], running, {path.name for path in cluster.data.iterdir()}


def processes_of(cluster: LocalCluster, shard: str) -> list[psutil.Process]:
    """The processes of a shard, its server's own children too."""
    mains = [psutil.Process(cluster.shard_child(role, shard).pid) for role in ("postgres", "pgbouncer")]
    return [*mains, *(child for main in mains for child in main.children(recursive=True))]


async def test_an_added_shard_runs_at_once_and_at_every_later_start(make_cluster: MakeCluster, tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with make_cluster(data=data) as cluster:
        first = cluster.shards[0]
        added = await cluster.add_shard("eu1")
        assert cluster.shards == [first, added]
        assert read_cluster_file(data)["shards"] == [
            {"name": shard.name, "url": shard.url, "direct_url": shard.direct_url, "replicas": []}
            for shard in (first, added)
        ]
        for url, role in ((added.url, SERVICE_ROLE), (added.direct_url, OWNER)):
            assert await ask(url, "select current_setting('cluster_name') || ' ' || current_user") == f"eu1 {role}"
        assert len({first.url, first.direct_url, added.url, added.direct_url}) == 4

        assert [cluster.child(role, 2).spec.name for role in ("postgres", "pgbouncer")] == ["eu1", "eu1-pgbouncer"]
        assert cluster.shard_child("postgres", "eu1") is cluster.child("postgres", 2)
        assert cluster.shard_child("pgbouncer", "eu1") is cluster.child("pgbouncer", 2)
        assert cluster.shard_child("postgres", "shard1") is cluster.child("postgres", 1)
        with pytest.raises(OperatorError, match=r"^there is no postgres of a shard eu2$"):
            cluster.shard_child("postgres", "eu2")

        before = as_it_is(cluster)
        assert await cluster.add_shard("eu1") == added
        assert as_it_is(cluster) == before
        cluster.shard_child("pgbouncer", "eu1").crash()
        # It waits for what is just being started again.
        assert await ask((await cluster.add_shard("eu1")).url, "select 1") == 1
        assert await ask(added.direct_url, "create table kept (n int)") is None

    held = everything_in(data)
    for shard_count in (3, 4):
        assert await refusal_of(LocalCluster(data, shard_count)) == (
            f"{data} was made with 1 shard and holds 2 now, not {shard_count}; nothing was changed. Start it "
            "with SHARDS=1; while it runs, `shardboard shards add NAME --local` adds one"
        )
    assert everything_in(data) == held
    for shard_count in (1, 2):
        async with make_cluster(shard_count, data=data) as cluster:
            assert cluster.shards == [first, added]
            assert cluster.identity.made_with == 1
            assert await ask(added.direct_url, "select count(*) from kept") == 0


async def test_a_removed_shard_is_gone_for_good(
    make_cluster: MakeCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    async with make_cluster(data=data) as cluster:
        first, second = cluster.shards[0], await cluster.add_shard("shard2")
        await cluster.add_shard("shard3")
        await cluster.remove_shard("shard3")
        removed = processes_of(cluster, "shard1")
        # A client that is connected keeps nothing alive.
        connection = await asyncpg.connect(first.url, statement_cache_size=0)
        await cluster.remove_shard("shard1")
        connection.terminate()
        assert [process for process in removed if is_alive(process)] == []
        assert not (data / "shard1").exists()
        assert cluster.shards == [second]
        assert names_in(data) == (["shard2"], [], ["shard2"])
        assert sorted(child.spec.name for child in cluster.children) == ["shard2", "shard2-pgbouncer", "valkey"]
        assert {process["name"] for process in read_cluster_file(data)["processes"]} == {
            *("shard2", "shard2-pgbouncer", "valkey", "supervisor")
        }
        with pytest.raises(OperatorError, match=r"^there is no shard shard1; there are shard2$"):
            await cluster.remove_shard("shard1")
        await cluster.add_shard("shard1")
        assert names_in(data) == (["shard2", "shard1"], [], ["shard2", "shard1"])
        assert [await ask(shard.url, "select current_setting('cluster_name')") for shard in cluster.shards] == [
            *("shard2", "shard1")
        ]
        await cluster.remove_shard("shard1")

    capsys.readouterr()
    async with make_cluster(data=data) as cluster:
        assert cluster.shards == [second]
        assert await ask(second.url, "select 1") == 1
    assert capsys.readouterr().out.splitlines()[:2] == [
        "starting 1 PostgreSQL shards and Valkey",
        "starting 1 PgBouncers",
    ]


@pytest.mark.parametrize(
    ("made_with", "names", "wanted", "facts", "change"),
    [
        (1, ["shard1"], 2, "holds 1 shard", "add NAME --local` adds one"),
        (4, ["shard1", "shard2", "shard3", "shard4"], 3, "holds 4 shards", "remove NAME --local` removes one"),
        (1, ["shard1", "eu1"], 3, "was made with 1 shard and holds 2 now", "add NAME --local` adds one"),
        (3, ["shard1", "eu1"], 4, "was made with 3 shards and holds 2 now", "add NAME --local` adds one"),
        (2, ["a", "b", "c"], 1, "was made with 2 shards and holds 3 now", "remove NAME --local` removes one"),
    ],
)
def test_which_numbers_of_shards_start_a_data(
    tmp_path: Path, made_with: int, names: list[str], wanted: int, facts: str, change: str
) -> None:
    shards = tuple(ShardPorts(name, 1, 2) for name in names)
    identity = replace(load_identity(tmp_path, 1), made_with=made_with, shards=shards, unfinished=("gone",))
    save_identity(tmp_path, identity)
    assert load_identity(tmp_path, made_with) == load_identity(tmp_path, len(names)) == identity
    with pytest.raises(OperatorError) as refused:
        load_identity(tmp_path, wanted)
    assert str(refused.value) == (
        f"{tmp_path} {facts}, not {wanted}; nothing was changed. Start it with SHARDS={made_with}; while it runs, "
        f"`shardboard shards {change}"
    )


@pytest.mark.parametrize("name", ["a", "eu1", "eu-west_1", "shard5", "x" * 31])
def test_good_names(name: str) -> None:
    require_shard_name(name)


@pytest.mark.parametrize("name", ["", "1eu", "EU1", "-eu", "e u", "eu.1", "../eu", "eu/1", "eu1\n", "é", "x" * 32])
def test_bad_names(name: str) -> None:
    with pytest.raises(OperatorError) as refused:
        require_shard_name(name)
    assert str(refused.value) == (
        f"a shard's name is a letter and at most 30 more of a-z, 0-9, _ and -, all in lower case; got {name!r}"
    )


@pytest.mark.parametrize("name", ["control", "lock", "logs", "supervisor", "tmp", "valkey", "eu1-pgbouncer"])
def test_names_that_the_cluster_needs(name: str) -> None:
    with pytest.raises(OperatorError) as refused:
        require_shard_name(name)
    assert str(refused.value) == f"a shard cannot be called {name}: the cluster uses that name for itself"


async def test_what_is_refused_changes_nothing(small: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(name: str) -> str:
        with pytest.raises(OperatorError) as refusal:
            await small.add_shard(name)
        return str(refusal.value)

    thesis = small.data / "thesis"
    thesis.mkdir()
    before = as_it_is(small)
    assert await refused("logs") == "a shard cannot be called logs: the cluster uses that name for itself"
    assert (await refused("Eu1")).startswith("a shard's name is ")
    assert await refused("thesis") == f"{thesis} exists and belongs to no shard: move it away, or choose another name"
    for unknown in ("eu1", "valkey", "", "../data"):
        with pytest.raises(OperatorError) as refusal:
            await small.remove_shard(unknown)
        assert str(refusal.value) == f"there is no shard {unknown}; there are shard1"
    with pytest.raises(OperatorError, match=r"^shard1 is the last shard and cannot be removed$"):
        await small.remove_shard("shard1")
    monkeypatch.setattr(change_shards, "SHARD_COUNT_MAX", 1)
    assert await refused("eu1") == f"{small.data} holds 1 shards, which is the most there can be"
    assert as_it_is(small) == before
    thesis.rmdir()


async def test_a_cluster_that_does_not_run_is_not_changed(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path / "data", 1)
    for change in (cluster.add_shard, cluster.remove_shard):
        with pytest.raises(OperatorError, match=r"^the cluster is not running$"):
            await change("eu1")
    assert not (tmp_path / "data").exists()


async def test_a_shard_that_does_not_start_leaves_nothing(small: LocalCluster) -> None:
    before, family = as_it_is(small), set(psutil.Process().children(recursive=True))
    for part in ("postgres", "pgbouncer"):
        obstacle = small.data / "logs" / f"{part}-eu1.log"
        obstacle.mkdir()
        with pytest.raises(OperatorError, match=rf"^the shard eu1 was not added: .*{part}-eu1.log"):
            await small.add_shard("eu1")
        assert as_it_is(small) == before
        assert set(psutil.Process().children(recursive=True)) == family
        assert [shard.name for shard in small.shards] == ["shard1"]
        obstacle.rmdir()
        # The server did start the second time, and left a log.
        (small.data / "logs/postgres-eu1.log").unlink(missing_ok=True)


async def test_an_addition_that_is_cancelled_leaves_nothing(small: LocalCluster) -> None:
    before, family = as_it_is(small), set(psutil.Process().children(recursive=True))
    stages = {
        "while its files are made": lambda: (small.data / "eu1/postgres.new/base").exists(),
        "while its server starts": lambda: any(child.spec.name == "eu1" for child in small.children),
    }
    for stage, reached in stages.items():
        adding = asyncio.create_task(small.add_shard("eu1"))
        await until(reached, seconds_max=60)
        adding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await adding
        assert as_it_is(small) == before, stage
        await until(lambda: {p for p in psutil.Process().children(recursive=True) if is_alive(p)} == family)
    assert await ask((await small.add_shard("eu1")).url, "select 1") == 1
    await small.remove_shard("eu1")


async def test_requests_at_once_are_served_one_after_the_other(small: LocalCluster) -> None:
    one, other, same = await asyncio.gather(*(small.add_shard(name) for name in ("eu1", "us1", "eu1")))
    assert [one, other] == small.shards[1:]
    assert same == one
    await asyncio.gather(small.remove_shard("us1"), small.add_shard("us1"), small.remove_shard("eu1"))
    assert names_in(small.data) == (["shard1", "us1"], [], ["shard1", "us1"])
    await small.remove_shard("us1")


CLIENT = """
import asyncio, sys
from dataclasses import astuple
from pathlib import Path
from domain.errors import OperatorError
from infra.local.control import add_local_shard, remove_local_shard

command = {"add": add_local_shard, "remove": remove_local_shard}[sys.argv[1]]
try:
    done = asyncio.run(command(Path(sys.argv[2]), sys.argv[3]))
    print(*astuple(done) if done else ["done"])
except OperatorError as error:
    print("refused:", error)
"""


async def client(command: str, data: Path, name: str) -> str:
    """What a process of its own gets for an answer."""
    arguments = [sys.executable, "-c", CLIENT, command, str(data), name]
    process = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
    return (await process.communicate())[0].decode().rstrip("\n")


async def answers_to(data: Path, request: bytes) -> dict[str, Any]:
    """What the control channel answers to these bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", read_cluster_file(data)["control"]["port"])
    writer.write(request)
    writer.write_eof()
    answer: dict[str, Any] = json.loads(await reader.read())
    writer.close()
    return answer


async def test_another_process_adds_and_removes(make_cluster: MakeCluster) -> None:
    async with make_cluster() as cluster:
        data = cluster.data
        said = await client("add", data, "eu1")
        added = cluster.shards[1]
        assert said == f"eu1 {added.url} {added.direct_url} []"
        assert await ask(added.url, "select current_setting('cluster_name')") == "eu1"
        assert await client("add", data, "eu1") == said
        assert await client("remove", data, "eu1") == "done"
        assert [shard.name for shard in cluster.shards] == ["shard1"]
        assert await client("remove", data, "eu1") == "refused: there is no shard eu1; there are shard1"
        assert await client("add", data, "tmp") == (
            "refused: a shard cannot be called tmp: the cluster uses that name for itself"
        )
        running = (data / "cluster.json").read_text()
    not_running = f"refused: the local cluster of {data} is not running: `make up` starts it"
    assert await client("add", data, "eu1") == not_running
    # As a supervisor leaves it that was killed.
    (data / "cluster.json").write_text(running)
    assert await client("remove", data, "eu1") == not_running


async def test_who_may_not_or_cannot_be_understood_is_told_so(small: LocalCluster) -> None:
    data, before = small.data, as_it_is(small)
    good = {"token": read_cluster_file(data)["control"]["token"], "command": "add_shard", "name": "eu1"}
    wrong_token = {"error": "the token is not the one in cluster.json"}
    for token in ("", "guessed", "\ud800", good["token"] + "x", good["token"][:-1], 1, None, [good["token"]]):
        assert await answers_to(data, json.dumps(good | {"token": token}).encode() + b"\n") == wrong_token
    assert await answers_to(data, json.dumps(good | {"command": "drop"}).encode() + b"\n") == {
        "error": "there are the commands add_shard, remove_shard, restart, and not this one"
    }
    assert await answers_to(data, json.dumps(good | {"name": 7}).encode() + b"\n") == {
        "error": "the request names no shard"
    }
    for garbage in (b"\n", b"GET / HTTP/1.1\r\n\r\n", b"\xff\xfe\n", b"[" * 4000 + b"\n", b"1e9999\n{\n"):
        error = (await answers_to(data, garbage))["error"]
        assert error in ("the request is not a line of JSON", "the request is not a JSON object")
    assert await answers_to(data, b"[]\n") == {"error": "the request is not a JSON object"}
    assert await answers_to(data, b"{}\n") == wrong_token
    assert await answers_to(data, b"x" * 5000) == {"error": "the request is longer than 4096 bytes"}
    for cut in (b"", json.dumps(good).encode()):
        assert await answers_to(data, cut) == {"error": "the connection ended before the request did"}
    assert as_it_is(small) == before


async def test_who_says_nothing_is_not_waited_for(small: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.local.control_server.READ_SECONDS_MAX", 0.2)
    port = read_cluster_file(small.data)["control"]["port"]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert json.loads(await reader.read()) == {"error": "no whole request came within 0.2 s"}
    writer.close()


async def test_a_failure_that_nobody_expected_is_an_answer_too(
    small: LocalCluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail(*_: object) -> None:
        raise LookupError("a bug")

    monkeypatch.setattr(change_shards, "add_shard", fail)
    with pytest.raises(OperatorError) as failed:
        await add_local_shard(small.data, "eu1")
    assert str(failed.value) == "the cluster failed at this in a way it should not: LookupError('a bug')"
    assert "!! a command failed: LookupError('a bug')" in capsys.readouterr().out.splitlines()


async def test_a_cluster_that_is_stopped_ends_its_requests(make_cluster: MakeCluster, tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with make_cluster(data=data) as cluster:
        asking = [asyncio.create_task(add_local_shard(data, name)) for name in ("eu1", "us1")]
        idle = await asyncio.open_connection("127.0.0.1", read_cluster_file(data)["control"]["port"])
        await until(lambda: any(child.spec.shard in ("eu1", "us1") for child in cluster.children), seconds_max=60)
    for answer in await asyncio.gather(*asking, return_exceptions=True):
        assert isinstance(answer, OperatorError)
        assert str(answer) == "the cluster was stopped before this was done; start it and give the command again"
    await idle[0].read()
    idle[1].close()
    assert names_in(data) == (["shard1"], [], ["shard1"])
    assert not {"eu1", "us1"} & {path.name for path in data.iterdir()}


@pytest.mark.parametrize("ask_for", [add_local_shard, remove_local_shard])
async def test_where_no_cluster_can_be_asked(tmp_path: Path, ask_for: Any) -> None:
    async def refusal() -> str:
        with pytest.raises(OperatorError) as refused:
            await ask_for(tmp_path / "data", "eu1")
        return str(refused.value)

    file = tmp_path / "data/cluster.json"
    nothing = f"there is no local cluster ({file} does not exist): `make up` starts one, --data names another one"
    assert await refusal() == nothing
    file.parent.mkdir()
    assert await refusal() == nothing
    file.write_text(json.dumps({"processes": []}))
    assert await refusal() == f"the local cluster of {file.parent} is not running: `make up` starts it"
    for more in ({}, {"control": None}):
        file.write_text(json.dumps({"processes": [{"role": "valkey", "name": "valkey", "pid": 1}]} | more))
        assert await refusal() == (
            f"the local cluster of {file.parent} takes no commands now: it is just being started or stopped, or it was "
            "started by an older version; try again, or stop it and start it again"
        )
    file.unlink()
    file.mkdir()
    assert (await refusal()).startswith(f"{file} cannot be read: ")


async def test_another_program_on_the_port_of_a_killed_supervisor(tmp_path: Path) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sayings.pop())
        writer.close()

    sayings = [b"", b"220 smtp\r\n", b"[1]\n", b"{}\n"]
    server = await asyncio.start_server(say, "127.0.0.1", 0)
    control = {"port": server.sockets[0].getsockname()[1], "token": "old"}
    (tmp_path / "cluster.json").write_text(json.dumps({"processes": [{}], "control": control}))
    while sayings:
        with pytest.raises(OperatorError) as refused:
            await remove_local_shard(tmp_path, "eu1")
        assert str(refused.value) == f"the local cluster of {tmp_path} ended before it answered: `make up` starts it"
    server.close()


def without_death_signal(directory: Path) -> dict[str, str]:
    """A PATH on which children outlive their supervisor, as they do where the system cannot tell them of its death."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return {}
    stand_in = directory / "setpriv"
    stand_in.write_text(f'#!/bin/sh\nshift 2\nexec {setpriv} "$@"\n')
    stand_in.chmod(0o755)
    return {"PATH": f"{directory}{os.pathsep}{os.environ['PATH']}"}


async def test_what_a_killed_supervisor_left_of_an_added_shard_is_ended(
    make_cluster: MakeCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    async with supervised(data, 1, **without_death_signal(tmp_path)) as supervisor:
        added = await add_local_shard(data, "eu1")
        assert await ask(added.direct_url, "create table kept (n int)") is None
        family = supervisor.children(recursive=True)
        pids = {process["name"]: process["pid"] for process in read_cluster_file(data)["processes"]}
        supervisor.kill()
    mains = [process for process in family if process.pid in pids.values()]
    assert [is_alive(process) for process in mains] == [True] * 5
    # As though it had been killed before it wrote down that the server of eu1 had been started.
    records = json.loads((data / "processes.json").read_text())
    (data / "processes.json").write_text(json.dumps([record for record in records if record["name"] != "eu1"]))

    capsys.readouterr()
    async with make_cluster(data=data) as cluster:
        ended = [line for line in capsys.readouterr().out.splitlines() if line.startswith("ended")]
        left = ", left behind by a supervisor that was killed"
        assert ended[-1] == f"ended eu1 (pid {pids['eu1']}){left}"
        assert sorted(ended) == sorted(
            f"ended {name} (pid {pid}){left}" for name, pid in pids.items() if name != "supervisor"
        )
        assert [process for process in family if is_alive(process)] == []
        assert [shard.name for shard in cluster.shards] == ["shard1", "eu1"]
        assert await ask(cluster.shards[1].direct_url, "select count(*) from kept") == 0


async def test_a_kill_while_a_shard_is_added(make_cluster: MakeCluster, tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with supervised(data, 1) as supervisor:
        asking = asyncio.create_task(add_local_shard(data, "eu1"))
        await until(lambda: (data / "eu1/postgres").exists(), seconds_max=60)
        supervisor.kill()
    with pytest.raises(OperatorError, match=rf"^the local cluster of {data} ended before it answered"):
        await asking
    assert names_in(data) == (["shard1"], ["eu1"], ["shard1"])

    async with make_cluster(data=data) as cluster:
        assert [shard.name for shard in cluster.shards] == ["shard1"]
        assert not (data / "eu1").exists()
        added = await cluster.add_shard("eu1")
        assert names_in(data) == (["shard1", "eu1"], [], ["shard1", "eu1"])
        assert await ask(added.url, "select 1") == 1


async def test_a_shard_that_was_half_removed_when_a_kill_came(make_cluster: MakeCluster, tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with make_cluster(shard_count=3, data=data) as cluster:
        shards = cluster.shards
    # The two worst moments: nothing is deleted yet, and half of its files are.
    identity = kept_identity(data)
    del identity["shards"][0], identity["shards"][1]
    (data / "identity.json").write_text(json.dumps(identity | {"unfinished": ["shard1", "shard3"]}))
    (data / "shard3/postgres/PG_VERSION").unlink()

    async with make_cluster(shard_count=3, data=data) as cluster:
        assert cluster.shards == [shards[1]]
        assert not (data / "shard1").exists()
        assert not (data / "shard3").exists()
        # The command was not answered; whoever gives it again is not told that there never was such a shard.
        await cluster.remove_shard("shard3")
        with pytest.raises(OperatorError, match=r"^there is no shard shard3; there are shard2$"):
            await cluster.remove_shard("shard3")
        assert names_in(data) == (["shard2"], ["shard1"], ["shard2"])
        await cluster.add_shard("shard1")
        assert names_in(data) == (["shard2", "shard1"], [], ["shard2", "shard1"])


async def test_files_that_cannot_be_deleted_are_deleted_later(
    make_cluster: MakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def refuse(path: Path) -> None:
        raise PermissionError(1, "Operation not permitted", str(path / "postgres"))

    data = tmp_path / "data"
    error = f"[Errno 1] Operation not permitted: '{data}/eu1/postgres'"
    async with make_cluster(data=data) as cluster:
        await cluster.add_shard("eu1")
        with monkeypatch.context() as patched:
            patched.setattr(change_shards, "delete_directory", refuse)
            with pytest.raises(OperatorError) as refused:
                await cluster.remove_shard("eu1")
        assert str(refused.value) == f"the shard eu1 is stopped, but its files cannot be deleted: {error}"
        assert names_in(data) == (["shard1"], ["eu1"], ["shard1"])
        assert [child for child in cluster.children if child.spec.shard == "eu1"] == []
    with monkeypatch.context() as patched:
        patched.setattr(change_shards, "delete_directory", refuse)
        async with make_cluster(data=data) as cluster:
            assert [shard.name for shard in cluster.shards] == ["shard1"]
    said = f"!! {data}/eu1, of a shard that was removed, cannot be deleted: {error}"
    assert said in capsys.readouterr().out.splitlines()
    async with make_cluster(data=data) as cluster:
        await cluster.remove_shard("eu1")
        assert not (data / "eu1").exists()
        assert names_in(data) == (["shard1"], [], ["shard1"])


def without(kept: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in kept.items() if key not in keys}


async def test_an_identity_of_the_version_before_is_read(make_cluster: MakeCluster, tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with make_cluster(shard_count=2, data=data) as cluster:
        identity, shards = cluster.identity, cluster.shards
    kept = kept_identity(data)
    older = without(kept, ("made_with", "unfinished")) | {"shards": [without(s, ("name",)) for s in kept["shards"]]}
    (data / "identity.json").write_text(json.dumps(older))
    (data / "cluster.json").write_text(json.dumps(without(read_cluster_file(data), ("control",))))

    assert (await refusal_of(LocalCluster(data, 3))).startswith(f"{data} holds 2 shards, not 3; nothing was changed. ")
    assert kept_identity(data) == older
    async with make_cluster(shard_count=2, data=data) as cluster:
        assert cluster.identity == identity
        assert (
            cluster.shards == shards == [ShardUrls(f"shard{n}", s.url, s.direct_url) for n, s in enumerate(shards, 1)]
        )
        assert kept_identity(data) == kept
