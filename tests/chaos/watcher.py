"""One who watches the top, by an event stream or a WebSocket, and comes back where the connection ends."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import count
from typing import Any, Literal

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.chaos.clock import now
from tests.chaos.history import BROKEN, FailedRead, Failure, Read, Seen
from tests.chaos.players import Game
from tests.chaos.readers import seen_in
from tests.live.sockets import ready
from tests.live.streams import ACCEPT, posted

SHOWN = 20
_TOP = f"subscription {{ topChanged(first: {SHOWN}) {{ sequence entries {{ rank userId totalScore gamesPlayed }} }} }}"
_REST_S = 0.1


class Watcher:
    """Notes each state of the top that it is shown; `shown` is the last one.

    Args:
        transport: how it watches.
        number: tells its connections from other watchers', and where it begins.
    """

    def __init__(self, game: Game, transport: Literal["stream", "socket"] = "stream", number: int = 0) -> None:
        self._game = game
        self._transport = transport
        self._number = number
        self._connection = 0
        self.shown: list[Seen] = []

    async def watch(self) -> None:
        """Watch until cancelled, one process after the other."""
        apis = sorted(self._game.apis)
        for turn in count(self._number):
            api = apis[turn % len(apis)]
            self._connection = turn * 1_000 + self._number
            began_at = now()
            # Nothing happened for a while: that is no failure, and the first state comes again.
            with suppress(TimeoutError):
                failure = await self._watch(api)
                self._game.history.failed_reads.append(FailedRead("watch", api, began_at, now(), failure))
            await asyncio.sleep(_REST_S)

    async def _watch(self, api: str) -> Failure:
        """Watch at one process until it ends."""
        try:
            await (self._watch_stream(api) if self._transport == "stream" else self._watch_socket(api))
        except _RefusedError as error:
            return error.failure
        except httpx.ReadTimeout:
            raise TimeoutError from None
        except (httpx.TransportError, ConnectionClosed, InvalidHandshake, OSError, EOFError) as error:
            return Failure(BROKEN, repr(error))
        return Failure(BROKEN, "the stream ended")

    async def _watch_stream(self, api: str) -> None:
        headers = ACCEPT | {"authorization": f"Bearer {self._game.key}"}
        async with posted(self._game.apis[api], _TOP, headers) as stream:
            while (event := await stream.event()) is not None:
                if event.name == "next":
                    self._note(api, event.data)

    async def _watch_socket(self, api: str) -> None:
        headers = {"authorization": f"Bearer {self._game.key}"}
        async with ready(self._game.apis[api], additional_headers=headers, ping_interval=None) as socket:
            await socket.subscribe("top", _TOP)
            while True:
                message = await socket.receive()
                if message["type"] == "complete":
                    return
                payload = message.get("payload")
                if message["type"] == "error":
                    self._note(api, {"errors": payload})
                elif message["type"] == "next":
                    self._note(api, payload)

    def _note(self, api: str, answer: Any) -> None:
        if "errors" in answer:
            error = answer["errors"][0]
            raise _RefusedError(Failure(error["extensions"]["code"], error["message"]))
        change = answer["data"]["topChanged"]
        at = now()
        self.shown = seen_in(change["entries"])
        self._game.history.reads.append(
            Read(
                "watch", api, at, at, self.shown, fresh=False, sequence=change["sequence"], connection=self._connection
            )
        )


class _RefusedError(Exception):
    """The service says why there is nothing to watch."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure
