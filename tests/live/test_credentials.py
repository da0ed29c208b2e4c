"""Credentials over WebSockets and event streams: who comes in, and who has to leave."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from domain.access import Scope
from infra.local.cluster import LocalCluster
from service.keys import make_key, revoke_key
from sharding.reshard.fleet import Fleet
from tests.acceptance.client import SUBMIT, stored
from tests.live.inprocess import Service, served_here
from tests.live.sockets import TOP, opened, ready
from tests.live.streams import ACCEPT, posted
from tests.waiting import until

SECRET = "a secret of the game's login, of 32 bytes or more"
SETTINGS: dict[str, Any] = {
    "jwt_algorithm": "HS256",
    "jwt_secret": SECRET,
    "jwt_leeway_seconds": 0,
    "address_reads_per_minute": 2,
    "player_reads_per_minute": 0,
}
FORBIDDEN = 4403
READ = frozenset({Scope.READ})


@pytest.fixture
async def service(clean: LocalCluster, quiet_logs: None) -> AsyncIterator[Service]:
    async with served_here(clean, **SETTINGS) as service:
        yield service


def token(user_id: int, lives_s: float = 600) -> str:
    # A token's times may have fractions (RFC 7519, NumericDate).
    claims = {"sub": str(user_id), "aud": "shardboard", "iss": "shardboard", "exp": time.time() + lives_s}
    return jwt.encode(claims, SECRET, "HS256")


def bearer(credential: str) -> dict[str, str]:
    return {"authorization": f"Bearer {credential}"}


@pytest.mark.parametrize("payload", [{"Authorization": "Bearer no"}, {"headers": {"authorization": "Bearer no"}}])
async def test_a_socket_with_a_wrong_credential_is_closed(service: Service, payload: dict[str, Any]) -> None:
    async with opened(service.url) as socket:
        await socket.send({"type": "connection_init", "payload": payload})
        code, reason = await socket.closed()
    assert code == FORBIDDEN
    assert reason.startswith("Forbidden: The credential is not known here")


async def test_a_credential_that_is_no_text_is_a_bad_message(service: Service) -> None:
    async with opened(service.url) as socket:
        await socket.send({"type": "connection_init", "payload": {"authorization": 7}})
        assert (await socket.closed())[0] == 4400


async def test_a_socket_without_a_credential_reads_and_does_not_submit(service: Service, clean: LocalCluster) -> None:
    async with ready(service.url) as socket:
        (error,) = await socket.refused("1", SUBMIT, variables={"input": {"userId": "1", "username": "a", "score": 1}})
        assert error["extensions"]["code"] == "UNAUTHENTICATED"
        await socket.subscribe("2", TOP)
        assert (await socket.top("2"))["entries"] == []
        assert (await socket.run("3", "{ leaderboard { totalCount } }"))["data"] == {"leaderboard": {"totalCount": 0}}
        # Two reads a minute, and a watch is one of them.
        for operation in (TOP, "{ leaderboard { totalCount } }"):
            (error,) = await socket.refused("4", operation)
            assert error["extensions"]["code"] == "RATE_LIMITED"
            assert 1 <= error["extensions"]["retryAfter"] <= 60
    assert await stored(clean) == []


@pytest.mark.parametrize("way", ["connection_init", "upgrade"])
async def test_a_player_submits_over_a_socket_for_itself(service: Service, way: str) -> None:
    given = token(7)
    options: dict[str, Any] = (
        {"credential": given} if way == "connection_init" else {"additional_headers": bearer(given)}
    )
    async with ready(service.url, **options) as socket:
        mine = {"userId": "7", "username": "Ada", "score": 5}
        payload = (await socket.run("1", SUBMIT, variables={"input": mine}))["data"]["submitScore"]
        assert payload["standing"]["totalScore"] == 5
        answer = await socket.run("2", SUBMIT, variables={"input": mine | {"userId": "8"}})
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_a_token_that_expires_closes_its_socket(service: Service) -> None:
    async with ready(service.url, credential=token(1, lives_s=1.5)) as socket:
        await socket.subscribe("1", TOP)
        await socket.top("1")
        assert await socket.closed() == (
            FORBIDDEN,
            "Forbidden: The credential has expired; come back with a new one.",
        )
    assert service.groups == 0


async def test_a_token_that_expires_ends_its_stream(service: Service) -> None:
    async with posted(service.url, TOP, ACCEPT | bearer(token(1, lives_s=1.5))) as stream:
        await stream.top()
        event = await stream.event()
        assert event is not None
        assert event.data["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        end = await stream.event()
        assert end is not None
        assert end.name == "complete"
        assert await stream.event() is None


async def test_a_key_that_is_revoked_or_ends_closes_its_sockets_and_streams(service: Service, fleet: Fleet) -> None:
    key, text = await make_key(fleet, "server", "to be revoked", scopes=READ)
    soon = datetime.now(UTC) + timedelta(seconds=3)
    _, short = await make_key(fleet, "server", "short", scopes=READ, expires_at=soon)
    async with (
        ready(service.url, credential=text) as revoked,
        ready(service.url, credential=short) as expired,
        posted(service.url, TOP, ACCEPT | bearer(text)) as stream,
    ):
        await stream.top()
        await revoke_key(fleet, key.id)
        assert await revoked.closed() == (FORBIDDEN, "Forbidden: This key was revoked.")
        event = await stream.event()
        assert event is not None
        assert event.data["errors"][0]["message"] == "This key was revoked."
        assert await expired.closed() == (FORBIDDEN, "Forbidden: The credential has expired; come back with a new one.")


async def test_a_stream_that_is_refused_says_why(service: Service) -> None:
    async with posted(service.url, TOP, ACCEPT | bearer("no")) as stream:
        assert stream.response.status_code == 401
        assert stream.response.headers["www-authenticate"] == "Bearer"
        body = await stream.response.aread()
    assert b'"code":"UNAUTHENTICATED"' in body


async def test_who_left_is_watched_no_longer(service: Service, fleet: Fleet) -> None:
    _, text = await make_key(fleet, "server", "many sockets", scopes=READ)
    watchers = service.application._graph._answering.access.keys._watchers  # type: ignore[union-attr]
    for _ in range(3):
        async with ready(service.url, credential=text), posted(service.url, TOP, ACCEPT | bearer(text)) as stream:
            await stream.top()
            assert [len(each) for each in watchers.values()] == [2]
    await until(lambda: watchers == {})
