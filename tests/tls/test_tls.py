"""Every hop over TLS, and what is not to be trusted refused at once and in words."""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from app.parts import open_parts
from db.address import conninfo_of
from db.explain import explain
from db.migrate import migrate
from db.ownership import read_ownership
from db.postgres import Postgres
from db.replication import reach
from db.server_facts import read_candidate
from domain.errors import OperatorError, Unavailable
from infra.local.cluster import LocalCluster
from infra.local.postgres import OWNER, SERVICE_ROLE
from ranking.store import RanksUnavailable, Store
from service.parts import Parts
from service.plan_moves import MoveBuckets, plan_moves, write_down
from sharding.placement import bucket_of
from sharding.reshard.fleet import Fleet, locked_fleet
from sharding.reshard.mover import Mover
from tests.db.conftest import find_system_postgres
from tests.db.shards import connected
from tests.factories import make_submission
from tests.tls.conftest import Encrypted
from tests.waiting import until

_SESSIONS = """
    select a.usename::text, a.backend_type, s.ssl, s.version
    from pg_stat_ssl as s
    join pg_stat_activity as a using (pid)
    where a.usename = $1 and a.pid <> pg_backend_pid()
"""


async def sessions_of(encrypted: Encrypted, number: int, role: str) -> list[tuple[Any, ...]]:
    async with connected(encrypted.direct(number)) as connection:
        return [tuple(row) for row in await connection.fetch(_SESSIONS, role)]


def clients_of_pooler(encrypted: Encrypted, what: str) -> list[dict[str, str]]:
    """What SHOW CLIENTS or SHOW SERVERS says, which the console tells in the simple protocol alone."""
    psql = find_system_postgres()
    assert psql is not None
    url = encrypted.pooled(1).replace("/shardboard?", "/pgbouncer?")
    command = [str(psql / "psql"), "--no-psqlrc", "--no-align", "--pset=footer=off", f"--command=show {what}", url]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    heading, *lines = [line.split("|") for line in answer.stdout.splitlines()]
    return [dict(zip(heading, line, strict=True)) for line in lines]


async def test_the_whole_service_works_over_tls_and_nothing_goes_in_clear(encrypted: Encrypted) -> None:
    async with open_parts(encrypted.settings) as parts:
        for user in range(1, 9):
            recorded = await parts.router.record(make_submission(user, 10 * user))
            assert recorded.outcome == "recorded"
        for shard in parts.router.shards.values():
            # The other way to a shard, for everything but the hot statements.
            async with shard.postgres.read() as connection:
                assert (await connection.exec_driver_sql("select current_user::text")).scalar() == SERVICE_ROLE
        for number in (1, 2):
            served = await sessions_of(encrypted, number, SERVICE_ROLE)
            assert served
            assert {(ssl, version) for *_, ssl, version in served} == {(True, "TLSv1.3")}
        for what in ("clients", "servers"):
            shown = [row for row in clients_of_pooler(encrypted, what) if row["database"] == "shardboard"]
            assert shown
            assert [row["tls"] for row in shown if not row["tls"].startswith("TLSv1.3")] == []
        # Redis listens with TLS alone; the relay fills it.
        await until(lambda: _has_standing(parts, 8))


async def _has_standing(parts: Parts, user_id: int) -> bool:
    try:
        return await parts.projection.standing(user_id) is not None
    except RanksUnavailable:
        return False


async def test_a_shard_that_is_reached_directly_is_over_tls_too(encrypted: Encrypted) -> None:
    postgres = Postgres("shard1", encrypted.direct())
    statement = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
    assert await postgres.call(statement) == [(True,)]
    async with postgres.write() as connection:
        assert (await connection.exec_driver_sql(statement)).scalar() is True
    async with postgres.raw() as raw:
        assert await raw.fetchval(statement) is True
    await postgres.close()


async def test_buckets_move_over_tls(encrypted: Encrypted) -> None:
    entries = {entry.name: entry for entry in encrypted.entries}
    fleet = Fleet(entries, {name: Postgres(name, entry.direct_url) for name, entry in entries.items()})
    try:
        owners = await fleet.read_map()
        async with open_parts(encrypted.settings, background=False) as parts:
            users = [user for user in range(100, 200) if owners.owner_of(user)[1] == "shard1"][:5]
            for user in users:
                await parts.router.record(make_submission(user, 7))
        buckets = sorted({bucket_of(user) for user in users})
        await write_down(fleet, await plan_moves(fleet, MoveBuckets(buckets, "shard2")))
        senders: list[tuple[Any, ...]] = []
        async with locked_fleet(fleet, "test") as locks:
            mover = Mover(fleet, locks, lambda move, told: None)
            moving = asyncio.create_task(mover.run())
            while not moving.done():
                senders += [row for row in await sessions_of(encrypted, 1, OWNER) if row[1] == "walsender"]
            (moved,) = await moving
        assert moved.phase == "done"
        assert senders
        assert {(ssl, version) for *_, ssl, version in senders} == {(True, "TLSv1.3")}
        assert {(await fleet.read_map()).owner_of(user)[1] for user in users} == {"shard2"}
    finally:
        for postgres in fleet.direct.values():
            await postgres.close()


def test_a_subscription_is_given_all_that_the_address_says_of_tls(encrypted: Encrypted) -> None:
    url = encrypted.direct(sslcert="/c.crt", sslkey="/it's.key", ssl_min_protocol_version="TLSv1.3")
    words = conninfo_of(url)
    assert f"sslmode='verify-full' sslrootcert='{encrypted.trusted}' sslcert='/c.crt' sslkey='/it\\'s.key'" in words
    assert "ssl_min_protocol_version='TLSv1.3'" in words


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("an authority that nobody knows", {"sslrootcert": "stranger"}, r"its certificate is not accepted: "),
    ("another name than the certificate's", {"host": "localhost"}, r"Hostname mismatch, certificate is not valid for"),
]


@pytest.mark.parametrize(("words", "why"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
@pytest.mark.parametrize("way", ["pooled", "direct"])
async def test_who_is_not_to_be_trusted_is_refused(
    encrypted: Encrypted, way: str, words: dict[str, Any], why: str
) -> None:
    words = {word: encrypted.stranger if value == "stranger" else value for word, value in words.items()}
    url = encrypted.pooled(**words) if way == "pooled" else encrypted.direct(**words)
    postgres = Postgres("shard1", url)
    began = time.monotonic()
    with pytest.raises(Unavailable) as refused:
        await read_ownership(postgres)
    with pytest.raises(Unavailable):
        async with postgres.read():
            pass
    with pytest.raises(Unavailable):
        async with postgres.raw():
            pass
    if way == "direct":
        for refusal in (lambda: migrate("shard1", url), lambda: read_candidate("shard1", url)):
            with pytest.raises(Unavailable, match="Shard shard1 does not answer") as again:
                await refusal()
            assert explain(again.value) == explain(refused.value)
    assert time.monotonic() - began < 2
    # Clients learn no more than that; the operator does.
    assert str(refused.value) == "Shard shard1 does not answer; try again with the same submissionId."
    assert re.search(why, explain(refused.value))
    await postgres.close()


async def test_a_server_without_tls_is_refused(encrypted: Encrypted, clean: LocalCluster) -> None:
    for url in (clean.shards[0].url, clean.shards[0].direct_url):
        postgres = Postgres("shard1", f"{url}?sslmode=verify-full&sslrootcert={encrypted.trusted}")
        began = time.monotonic()
        with pytest.raises(Unavailable) as refused:
            await read_ownership(postgres)
        assert time.monotonic() - began < 1
        assert explain(refused.value).endswith("(it does not speak TLS, which sslmode asks for)")
        await postgres.close()


async def test_a_pgbouncer_that_asks_for_a_certificate_lets_nobody_in_without(encrypted: Encrypted) -> None:
    for words in ({"sslcert": None, "sslkey": None}, {"sslmode": "disable"}):
        postgres = Postgres("shard1", encrypted.pooled(**words))
        with pytest.raises(Unavailable):
            await read_ownership(postgres)
        await postgres.close()


async def test_a_target_says_why_it_does_not_trust_a_source(encrypted: Encrypted) -> None:
    assert await reach("shard1", encrypted.direct(1), encrypted.direct(2)) is None
    for words, why in (
        ({"sslrootcert": encrypted.stranger}, "certificate verify failed"),
        ({"host": "localhost"}, "does not match host name"),
    ):
        told = await reach("shard1", encrypted.direct(1), encrypted.direct(2, **words))
        assert told is not None
        assert why in told


def store_of(url: str) -> Store:
    return Store(url, timeout_s=1.0)


@pytest.mark.parametrize(
    "address",
    [
        lambda e: e.redis(ssl_ca_certs=e.stranger),
        lambda e: e.redis(host="localhost"),
        lambda e: e.redis(ssl_ca_certs=None),
        lambda e: e.redis(scheme="redis"),
    ],
    ids=["an authority that nobody knows", "another name", "no authority", "in clear"],
)
async def test_a_redis_that_is_not_to_be_trusted_is_refused(
    encrypted: Encrypted, address: Callable[[Encrypted], str]
) -> None:
    store = store_of(address(encrypted))
    began = time.monotonic()
    with pytest.raises(RanksUnavailable):
        await store.answered(store.redis.ping())
    assert not await store.answers()
    assert time.monotonic() - began < 3
    await store.close()


async def test_a_redis_without_tls_is_refused(encrypted: Encrypted, clean: LocalCluster) -> None:
    store = store_of(f"{clean.redis_url.replace('redis://', 'rediss://')}?ssl_ca_certs={encrypted.trusted}")
    assert not await store.answers()
    await store.close()


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1/0?ssl_ca_certs=/a.crt", "rediss://127.0.0.1/0?sslrootcert=/a.crt", "http://127.0.0.1"]
)
def test_words_of_a_redis_address_that_would_not_be_heeded_are_refused(url: str) -> None:
    with pytest.raises(OperatorError, match="SHARDBOARD_REDIS_URL is no address of a Redis"):
        store_of(url)


async def test_a_redis_with_a_client_certificate_and_tls_is_asked(encrypted: Encrypted) -> None:
    url = encrypted.redis(ssl_certfile=encrypted.client.certificate, ssl_keyfile=encrypted.client.key)
    async with Redis.from_url(url) as redis:
        assert await redis.ping()
    store = store_of(url)
    assert await store.answers()
    await store.close()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("sslmode=verify_full", "sslmode=verify_full; it has to be one of disable, allow, prefer, require, verify-ca"),
        ("ssl=require", "says ssl, which would not be heeded"),
        ("sslrootcrt=/a.crt", "says sslrootcrt, which would not be heeded"),
        ("channel_binding=require", "says channel_binding, which would not be heeded"),
        ("sslmode=disable&sslmode=verify-full", "says sslmode, which would not be heeded"),
    ],
)
def test_words_about_tls_that_would_not_be_heeded_are_refused(words: str, why: str) -> None:
    with pytest.raises(OperatorError, match=why):
        Postgres("shard1", f"postgresql://a:secret@127.0.0.1/b?{words}")


def test_what_is_no_address_is_refused_without_being_shown() -> None:
    with pytest.raises(OperatorError, match="The address of a shard is none") as refused:
        Postgres("shard1", "secret@127.0.0.1")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("word", ["sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile"])
async def test_a_file_that_cannot_be_read_is_named(encrypted: Encrypted, word: str) -> None:
    words: dict[str, Any] = {word: "/nowhere/x"}
    postgres = Postgres("shard1", encrypted.direct(**words))
    with pytest.raises(OperatorError, match=f"names {word}=/nowhere/x, a file that cannot be read here"):
        await read_ownership(postgres)
    await postgres.close()
