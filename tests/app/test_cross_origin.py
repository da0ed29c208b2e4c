"""Which pages of other sites a browser lets use the API."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from app.cross_origin import CrossOrigin
from app.origins import Origins
from app.settings import Settings
from wire.asgi import Receive, Scope, Send

SHARD = {"name": "shard1", "url": "postgresql://a/b", "direct_url": "postgresql://a/b"}
GAME = "https://game.example"


async def endpoint(_scope: Scope, _receive: Receive, send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"vary", b"Accept")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


async def ask(origins: list[str], method: str = "POST", **headers: str) -> httpx.Response:
    app: Any = CrossOrigin(endpoint, Origins(origins))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.example") as client:
        return await client.request(method, "/graphql", headers=named)


def cors(response: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.startswith("access-control-")}


async def test_a_page_of_a_listed_origin_reads_the_answer_and_what_it_needs_of_the_head() -> None:
    response = await ask([GAME, "http://localhost:5173"], origin=GAME)
    assert response.status_code == 200
    assert cors(response) == {
        "access-control-allow-origin": GAME,
        "access-control-expose-headers": (
            "etag, link, ratelimit-limit, ratelimit-remaining, ratelimit-reset, ratelimit-policy, retry-after, "
            "x-request-id"
        ),
    }
    assert response.headers["vary"] == "Accept, Origin"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "https://game.example.evil.example", "http://game.example", "null", ""]
)
async def test_a_page_of_another_reads_nothing_and_no_cache_mixes_them_up(origin: str) -> None:
    response = await ask([GAME], origin=origin)
    assert cors(response) == {}
    assert response.headers["vary"] == "Accept, Origin"


async def test_a_client_that_is_no_page_is_answered_as_ever() -> None:
    response = await ask([GAME])
    assert response.status_code == 200
    assert cors(response) == {}
    assert response.headers["vary"] == "Accept, Origin"


async def test_any_origin() -> None:
    response = await ask(["*"], origin="https://any.example")
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["vary"] == "Accept"


async def test_a_listed_origin_may_send_what_the_usual_clients_send() -> None:
    response = await ask([GAME], "OPTIONS", origin=GAME, access_control_request_method="POST")
    assert response.status_code == 204
    assert response.content == b""
    allowed = response.headers["access-control-allow-headers"].split(", ")
    assert {
        "authorization",
        "content-type",
        "graphql-require-preflight",
        "apollo-require-preflight",
        "x-apollo-operation-name",
        "apollographql-client-name",
        "apollographql-client-version",
        "idempotency-key",
        "x-shardboard-signature",
        "x-shardboard-time",
    } <= set(allowed)
    assert response.headers["access-control-allow-origin"] == GAME
    assert response.headers["access-control-allow-methods"] == "GET, POST"
    assert response.headers["access-control-max-age"] == "7200"
    assert "access-control-allow-credentials" not in response.headers
    assert response.headers["vary"] == "Origin"


async def test_another_may_not() -> None:
    response = await ask([GAME], "OPTIONS", origin="https://evil.example", access_control_request_method="POST")
    assert response.status_code == 403
    assert cors(response) == {}
    assert response.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize(
    ("listed", "headers", "refused"),
    [
        ([], {}, False),
        ([], {"origin": "http://api.example", "host": "api.example"}, False),
        ([], {"origin": "http://api.example:8000", "host": "api.example:8000"}, False),
        ([], {"origin": "https://api.example", "host": "api.example:443"}, False),
        ([], {"origin": "https://API.example", "host": "api.EXAMPLE"}, False),
        ([], {"origin": "http://api.example", "host": "api.example:8000"}, True),
        ([], {"origin": "http://evil.example", "host": "api.example"}, True),
        ([], {"origin": "null", "host": "api.example"}, True),
        ([], {"origin": "", "host": ""}, True),
        ([], {"origin": "file://", "host": ""}, True),
        ([GAME], {"origin": GAME, "host": "api.example"}, False),
        ([GAME], {"origin": f"{GAME}:8443", "host": "api.example"}, True),
        (["*"], {"origin": "null", "host": "api.example"}, False),
    ],
)
def test_a_socket_is_for_our_own_pages_and_those_of_listed_origins(
    listed: list[str], headers: dict[str, str], refused: bool
) -> None:
    scope: Scope = {"headers": [(name.encode(), value.encode()) for name, value in headers.items()]}
    assert Origins(listed).refuses_socket(scope) is refused


@pytest.mark.parametrize("origin", ["https://a.example", "http://localhost:5173", "http://[::1]:3000", "*"])
def test_an_origin(origin: str) -> None:
    assert Settings.model_validate({"shards": [SHARD], "cors_origins": [origin]}).cors_origins == [origin]


@pytest.mark.parametrize(
    "origin",
    [
        "game.example",
        "https://game.example/",
        "https://game.example/board",
        "https://Game.example",
        "https://*.game.example",
        "https://game.example:443",
        "http://game.example:80",
        "https://user@game.example",
        "ftp://game.example",
        "null",
        "",
    ],
)
def test_no_origin(origin: str) -> None:
    with pytest.raises(ValidationError, match=r"is no origin|browsers leave out"):
        Settings.model_validate({"shards": [SHARD], "cors_origins": [origin]})
