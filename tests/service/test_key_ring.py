"""Keys, made by an operator and recognised by processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from db.api_keys import read_api_keys, write_api_keys
from db.postgres import Postgres
from domain.access import Scope
from domain.errors import OperatorError, Unauthenticated, Unavailable
from domain.keys import DEFAULT_SCOPES
from infra.local.cluster import LocalCluster
from infra.local.ports import find_free_port
from service.key_ring import KeyRing
from service.keys import list_keys, make_key, revoke_key
from sharding.reshard.fleet import Fleet
from tests.db.shards import connected
from tests.waiting import until

SERVER = DEFAULT_SCOPES["server"]


@pytest.fixture
async def ring(fleet: Fleet) -> AsyncIterator[KeyRing]:
    ring = KeyRing(fleet.direct.values, {"server": "a key of the settings", "admin": None})
    yield ring
    await ring.close()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.key_ring._REFRESH_REST_S", 0.0)


async def refused(ring: KeyRing, text: str) -> str:
    with pytest.raises(Unauthenticated) as refusal:
        await ring.find(text)
    return str(refusal.value)


async def test_a_key_of_the_settings_needs_no_shard() -> None:
    ring = KeyRing(list, {"server": "a key of the settings", "admin": "another one, for admins"})
    assert await ring.find("a key of the settings") == await ring.find("a key of the settings")
    assert (await ring.find("a key of the settings")).scopes == SERVER
    assert (await ring.find("another one, for admins")).scopes == frozenset(Scope)
    for wrong in ("a key of the setting", "a key of the settings ", ""):
        assert "not known here" in await refused(ring, wrong)


async def test_a_key_works_at_once_and_only_as_it_is(fleet: Fleet, ring: KeyRing) -> None:
    await ring.refresh()
    key, text = await make_key(
        fleet, "server", "matchmaker", scopes=SERVER, submissions_per_minute=7, reads_per_minute=9
    )
    caller = await ring.find(text)
    assert (caller.kind, caller.name, caller.scopes, caller.user_id, caller.expires_at) == (
        *("key", f"key:{key.id}", SERVER),
        *(None, None),
    )
    assert (caller.submissions_per_minute, caller.reads_per_minute) == (7, 9)
    for wrong in (text[:-1] + ("A" if text[-1] != "A" else "B"), text.replace("sb_server", "sb_admin"), text + "A"):
        assert "not known here" in await refused(ring, wrong)


async def test_no_shard_keeps_the_key_itself(clean: LocalCluster, fleet: Fleet) -> None:
    _, text = await make_key(fleet, "admin", "deploy", scopes=frozenset(Scope))
    for shard in clean.shards:
        async with connected(shard.direct_url) as connection:
            (row,) = await connection.fetch("select k::text from api_keys as k")
            assert text[-43:] not in row[0]


async def test_a_revoked_key_is_refused_and_whoever_came_in_with_it_is_told(fleet: Fleet, ring: KeyRing) -> None:
    key, text = await make_key(fleet, "server", "old", scopes=SERVER)
    told: list[str] = []
    caller = await ring.find(text)
    ring.watch(caller, lambda: told.append("one"))
    leave = ring.watch(caller, lambda: told.append("other"))
    leave()
    ring.start()
    revoked, away = await revoke_key(fleet, key.id)
    assert (revoked.revoked_at is not None, away) == (True, [])
    await until(lambda: told == ["one"])
    assert await refused(ring, text) == "This key was revoked."
    assert [each.state(datetime.now(UTC)) for each in await list_keys(fleet)] == ["revoked"]
    again, _ = await revoke_key(fleet, key.id)
    assert again.revoked_at == revoked.revoked_at


async def test_a_key_ends_at_its_time(fleet: Fleet, ring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = datetime.now(UTC) + timedelta(minutes=5)
    _, text = await make_key(fleet, "server", "for today", scopes=SERVER, expires_at=ends)
    assert (await ring.find(text)).expires_at == ends.timestamp()
    monkeypatch.setattr("service.key_ring.time.time", lambda: ends.timestamp())
    assert await refused(ring, text) == "This key has expired."


async def test_one_shard_that_knows_of_a_revocation_is_enough(clean: LocalCluster, fleet: Fleet, ring: KeyRing) -> None:
    key, text = await make_key(fleet, "server", "old", scopes=SERVER)
    revoked, _ = await revoke_key(fleet, key.id)
    for shard in clean.shards[1:]:
        async with connected(shard.direct_url) as connection:
            await connection.execute("update api_keys set revoked_at = null")
    await ring.refresh()
    assert await refused(ring, text) == "This key was revoked."
    # Whatever an old list says to a shard, it stays revoked there.
    first = fleet.direct["shard1"]
    await write_api_keys(first, [key])
    assert [each.revoked_at for each in await read_api_keys(first)] == [revoked.revoked_at]


async def test_a_shard_that_is_away_takes_no_key_with_it(clean: LocalCluster, fleet: Fleet) -> None:
    _, text = await make_key(fleet, "server", "kept", scopes=SERVER)
    nowhere = f"postgresql://nobody@127.0.0.1:{find_free_port(set())}/x"
    gone = Postgres("shard1", nowhere)
    ring = KeyRing(lambda: [gone, fleet.direct["shard2"]], {})
    assert (await ring.find(text)).scopes == SERVER
    alone = KeyRing(lambda: [gone], {})
    with pytest.raises(Unavailable, match="The key cannot be checked: shards do not answer"):
        await alone.find(text)
    await asyncio.gather(gone.close(), ring.close(), alone.close())


async def test_what_a_key_cannot_be_is_refused_and_nothing_is_made(fleet: Fleet) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    for reason, fields in {
        "printable characters": {"label": " ", "scopes": SERVER},
        "1 to 100": {"label": "x" * 101, "scopes": SERVER},
        "without any scope": {"label": "x", "scopes": frozenset()},
        "`admin` is for admin keys": {"label": "x", "scopes": frozenset({Scope.ADMIN})},
        "would have expired already": {"label": "x", "scopes": SERVER, "expires_at": past},
        r"A limit is 0 \(none\) to": {"label": "x", "scopes": SERVER, "reads_per_minute": -1},
    }.items():
        with pytest.raises(OperatorError, match=reason):
            await make_key(fleet, "server", **fields)  # type: ignore[arg-type]
    assert await list_keys(fleet) == []
    with pytest.raises(OperatorError, match="There is no key 'abc'; `shardboard keys list` shows their ids"):
        await revoke_key(fleet, "abc")
