"""One who watches the top, and comes back where the connection ends."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import cycle

import httpx

from tests.chaos.clock import now
from tests.chaos.history import BROKEN, FailedRead, Failure, Read, Seen
from tests.chaos.players import Game
from tests.chaos.readers import seen_in
from tests.live.streams import Stream, posted

SHOWN = 20
_TOP = f"subscription {{ topChanged(first: {SHOWN}) {{ sequence entries {{ rank userId totalScore gamesPlayed }} }} }}"
_REST_S = 0.1


class Watcher:
    """Notes each state of the top that it is shown; `shown` is the last one."""

    def __init__(self, game: Game) -> None:
        self._game = game
        self._connection = 0
        self.shown: list[Seen] = []

    async def watch(self) -> None:
        """Watch until cancelled, one process after the other."""
        for api in cycle(sorted(self._game.apis)):
            self._connection += 1
            began_at = now()
            # Nothing happened for a while: that is no failure, and the first state comes again.
            with suppress(TimeoutError):
                failure = await self._watch(api)
                self._game.history.failed_reads.append(FailedRead("watch", api, began_at, now(), failure))
            await asyncio.sleep(_REST_S)

    async def _watch(self, api: str) -> Failure:
        """Watch at one process until it ends."""
        try:
            async with posted(self._game.apis[api], _TOP) as stream:
                return await self._note_all(api, stream)
        except httpx.ReadTimeout:
            raise TimeoutError from None
        except httpx.TransportError as error:
            return Failure(BROKEN, repr(error))

    async def _note_all(self, api: str, stream: Stream) -> Failure:
        while (event := await stream.event()) is not None:
            if event.name != "next":
                continue
            if "errors" in event.data:
                error = event.data["errors"][0]
                return Failure(error["extensions"]["code"], error["message"])
            change = event.data["data"]["topChanged"]
            at = now()
            self.shown = seen_in(change["entries"])
            self._game.history.reads.append(
                Read(
                    "watch", api, at, at, self.shown,
                    fresh=False, sequence=change["sequence"], connection=self._connection,
                )
            )  # fmt: skip
        return Failure(BROKEN, "the stream ended")
