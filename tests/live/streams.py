"""A client of event streams: what graphql-sse calls distinct connections mode, event by event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx

EVENT_S_MAX = 10.0
ACCEPT = {"accept": "text/event-stream"}


class Event(NamedTuple):
    """One event, or a comment: `name` is then None."""

    name: str | None
    data: Any


class Stream:
    """The body of one response."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def event(self) -> Event | None:
        """The next event; None at the end of the response."""
        lines: list[str] = []
        async with asyncio.timeout(EVENT_S_MAX):
            async for line in self._lines:
                if line == "":
                    return _parse(lines)
                lines.append(line)
        assert lines == []
        return None

    async def top(self) -> dict[str, Any]:
        """The `topChanged` of the next event, which has to be a `next`."""
        event = await self.event()
        assert event is not None
        assert event.name == "next"
        assert event.data.keys() == {"data"}, event
        change: dict[str, Any] = event.data["data"]["topChanged"]
        return change


def _parse(lines: list[str]) -> Event:
    if lines == [":"]:
        return Event(None, None)
    name, data = lines
    assert name.startswith("event: ")
    assert data.startswith("data:")
    text = data.removeprefix("data:").strip()
    return Event(name.removeprefix("event: "), json.loads(text) if text else None)


@asynccontextmanager
async def posted(url: str, query: str, headers: dict[str, str] | None = None, **fields: Any) -> AsyncIterator[Stream]:
    """The stream that answers to a POST."""
    async with (
        httpx.AsyncClient(timeout=EVENT_S_MAX) as client,
        client.stream("POST", f"{url}/graphql", json={"query": query, **fields}, headers=headers or ACCEPT) as response,
    ):
        yield Stream(response)


@asynccontextmanager
async def got(url: str, query: str, **parameters: str) -> AsyncIterator[Stream]:
    """The stream that answers to a GET, as a browser's EventSource asks for it."""
    async with (
        httpx.AsyncClient(timeout=EVENT_S_MAX) as client,
        client.stream("GET", f"{url}/graphql", params={"query": query, **parameters}, headers=ACCEPT) as response,
    ):
        yield Stream(response)
