"""A fault of the service on a socket: the client learns its id, the log has the rest."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from domain.access import Caller, Scope
from graph.live.connections import Connections
from graph.live.socket import SocketEndpoint

FAULT = RuntimeError("secret")
INIT = '{"type":"connection_init"}'
SUBSCRIBE = '{"id":"1","type":"subscribe","payload":{"query":"{ __typename }"}}'


def raising(_request: object) -> None:
    raise FAULT


async def test_it_closes_the_socket_with_the_id(caplog: pytest.LogCaptureFixture) -> None:
    caller = Caller("key", "key:test", frozenset(Scope))

    async def identify(*_: object) -> Caller:
        return caller

    access = SimpleNamespace(identify=identify, keys=SimpleNamespace(watch=lambda *_: lambda: None))
    answering = cast(Any, SimpleNamespace(prepare=raising, access=access))
    endpoint = SocketEndpoint(answering, cast(Any, None), Connections(1), idle_s_max=60)
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    for message in (
        {"type": "websocket.connect"},
        *({"type": "websocket.receive", "text": text} for text in (INIT, SUBSCRIBE)),
    ):
        told.put_nowait(message)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await endpoint({"subprotocols": ["graphql-transport-ws"], "headers": [], "client": None}, told.get, send)
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is FAULT
    error_id = record.__dict__["error_id"]
    assert sent[-1] == {
        "type": "websocket.close",
        "code": 4500,
        "reason": f"Internal server error; its id is {error_id}.",
    }
