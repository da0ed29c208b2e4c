"""A request while it is answered: its id, how long it takes, and its one line in the log.

Whoever answers requests begins with `begin_request`, says which operation it is when that is known, and ends with
`end`, whatever the protocol. Who works for a request on the way, a shard's writer for instance, finds it with
`current_request` and notes what the line is to tell.
"""

from __future__ import annotations

import logging
import re
from contextvars import ContextVar
from itertools import count
from secrets import randbits
from time import monotonic
from typing import Literal

from msgspec import Struct

from domain.errors import ErrorCode
from domain.metrics.catalogue import REFUSALS, REQUEST_DURATION

logger = logging.getLogger("shardboard.requests")

Protocol = Literal["graphql", "rest", "websocket", "sse"]

OK = "OK"
OTHER = "other"
"""The operation of what has no name in the schema, or several."""
SEVERAL = "several"

# A key or a token is longer: none comes into the log by being sent as an id.
_GOOD_ID = re.compile(rb"[A-Za-z0-9_.-]{1,64}")
# The ids of one process are numbers from a random one on, of 128 bits: nobody has to guess them, and uuid4 costs ten
# times as much.
_number = count(randbits(127) | 1 << 127)

_REASONS = {
    ErrorCode.RATE_LIMITED.value: REFUSALS.of("rate_limit"),
    ErrorCode.UNAUTHENTICATED.value: REFUSALS.of("access"),
    ErrorCode.FORBIDDEN.value: REFUSALS.of("access"),
}
_FAULTS = (ErrorCode.INTERNAL_SERVER_ERROR.value, ErrorCode.UNAVAILABLE.value)
_SLOW_S = 1.0


class CurrentRequest(Struct, gc=False):
    """One request under way.

    Attributes:
        began_at: by `time.monotonic`.
        protocol: how it came.
        operation: a root field's name, a route, or `other`; never what a client chose.
        shard: whose data it needed; `several` for more than one.
        batch_rows: submissions in the batch that its own went to the shard in.
        cache_hit: whether the answer was at hand; None where it never could be.
    """

    id: str
    began_at: float
    protocol: Protocol
    operation: str = OTHER
    shard: str | None = None
    batch_rows: int | None = None
    cache_hit: bool | None = None

    def enter(self) -> None:
        """All that is called from here on works for it."""
        _current.set(self)

    def touch(self, shard: str) -> None:
        """It needs this shard."""
        self.shard = shard if self.shard is None or self.shard == shard else SEVERAL

    def end(self, code: str = OK) -> None:
        """It is answered now: count it, and log it.

        Args:
            code: `OK` or the contract's code of its first error.
        """
        ended_at = monotonic()
        took_s = ended_at - self.began_at
        REQUEST_DURATION.of(self.protocol, self.operation, code).observe(took_s)
        if code != OK and (refused := _REASONS.get(code)) is not None:
            refused.add()
        if request_lines.has_room(ended_at, notable=code != OK or took_s > _SLOW_S):
            request_lines.write(self, code, took_s)


_current: ContextVar[CurrentRequest | None] = ContextVar("current_request", default=None)

current_request = _current.get
"""The request that the running code works for; None outside of requests."""


def make_request_id() -> str:
    """An id that no other request has: 32 hexadecimal digits."""
    return f"{next(_number):x}"


def current_request_id() -> str:
    """The id of the request that the running code works for, or a new one."""
    request = _current.get()
    return make_request_id() if request is None else request.id


def begin_request(protocol: Protocol, given_id: bytes | None = None) -> CurrentRequest:
    """A request that has just come. What is called for it knows of it once it was entered.

    Args:
        given_id: the header `X-Request-Id`. It is taken where it is 1 to 64 letters, digits, `_`, `.` and `-`.
    """
    id_ = given_id.decode() if given_id is not None and _GOOD_ID.fullmatch(given_id) else make_request_id()
    return CurrentRequest(id_, monotonic(), protocol)


class RequestLines:
    """One line a request, and of very many requests as many as the log can take.

    A line costs as much as a fifth of a request. So each second has room for some of those that went well, and for
    as many of those that failed or were slow; a line says how many were left out since the one before.

    Attributes:
        per_second: lines of each kind; 0 for none.
    """

    def __init__(self, per_second: int) -> None:
        self.per_second = per_second
        self._second = 0
        self._left = [0, 0]
        self._omitted = 0

    def has_room(self, now: float, *, notable: bool) -> bool:
        """Whether one more line may be written."""
        second = int(now)
        if second != self._second:
            self._second = second
            self._left = [self.per_second, self.per_second]
        if self._left[notable] > 0:
            self._left[notable] -= 1
            return True
        self._omitted += 1
        return False

    def write(self, request: CurrentRequest, code: str, took_s: float) -> None:
        """Write the line of a request."""
        fields = {
            "request_id": request.id,
            "protocol": request.protocol,
            "operation": request.operation,
            "code": code,
            "duration_ms": round(took_s * 1000, 3),
            "shard": request.shard,
            "batch_rows": request.batch_rows,
            "cache_hit": request.cache_hit,
            "omitted": self._omitted if self._omitted and self.per_second else None,
        }
        self._omitted = 0
        logger.log(
            logging.WARNING if code in _FAULTS else logging.INFO,
            "request",
            extra={"fields": {name: value for name, value in fields.items() if value is not None}},
        )


request_lines = RequestLines(100)
"""The lines of this process; `per_second` is a setting."""
