"""Requests that fall due by the clock, and what became of each: accepted, shed, or wrong."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from benchmarks.reshard.schedule import Schedule
from benchmarks.reshard.stream import Connection, Stream

_SHED = b"HTTP/1.1 503 "
_RETRY_AFTER = b'"retryAfter":'
_RETRY_HEADER = b"\r\nretry-after: "


@dataclass(frozen=True, slots=True)
class Count:
    """How many requests there were of each kind; `blunt` are shed ones that do not say when to come back."""

    accepted: int
    shed: int
    wrong: int
    blunt: int


class SheddingStream(Stream):
    """A stream for which a refusal that says when to come back is an answer, too.

    Attributes:
        shed: as `samples`, of the requests that were shed.
        blunt: how many of them did not say when to come back.
    """

    shed: array[float]
    blunt: int

    async def open(self) -> None:
        """Open the connections."""
        self.shed = array("d")
        self.blunt = 0
        await super().open()

    def begin(self, schedule: Schedule) -> None:
        """Let requests fall due by this schedule from now on: connections may take long to open."""
        self._schedule = schedule

    def end_closed(self) -> None:
        """Send nothing any more, due or not: what a closed loop sends is always due."""
        self._end = self._next

    def take(self, connection: Connection, answer: bytes) -> None:
        """A connection has got a whole answer."""
        if not (answer.startswith(_SHED) or _RETRY_AFTER in answer):
            super().take(connection, answer)
            return
        now = self._clock()
        self.shed.extend((connection.due_at, connection.sent_at, now))
        self.blunt += not (_RETRY_AFTER in answer and _RETRY_HEADER in answer)
        self._set_free(connection)
        self.send_due(now)

    def count(self) -> Count:
        """What became of all requests so far."""
        return Count(len(self.samples) // 3 - self.wrong, len(self.shed) // 3, self.wrong, self.blunt)
