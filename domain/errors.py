"""Every failure a caller can see, each with the code of the public contract.

ShardboardError
├── BadUserInput          BAD_USER_INPUT
├── Unauthenticated       UNAUTHENTICATED
├── Forbidden             FORBIDDEN
├── NotFound              NOT_FOUND
├── Conflict              CONFLICT
├── RateLimited           RATE_LIMITED
├── QueryTooComplex       QUERY_TOO_COMPLEX
├── Unavailable           UNAVAILABLE
│   └── TookTooLong       the same code: its time was up
└── OperatorError         not for clients: what the command line prints in one line
    ├── MapError          the shards' answers make no valid map of buckets
    └── NoTables          a shard was never migrated

Anything else that is raised is a bug: it is logged whole and leaves the service as INTERNAL_SERVER_ERROR.
"""

from __future__ import annotations

from enum import StrEnum


class ErrorCode(StrEnum):
    """The codes of the public contract, found in `extensions.code` of every error."""

    BAD_USER_INPUT = "BAD_USER_INPUT"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "CONFLICT"
    RATE_LIMITED = "RATE_LIMITED"
    QUERY_TOO_COMPLEX = "QUERY_TOO_COMPLEX"
    UNAVAILABLE = "UNAVAILABLE"
    INTERNAL_SERVER_ERROR = "INTERNAL_SERVER_ERROR"


class ShardboardError(Exception):
    """An expected failure. `str(error)` is the message a client sees: what was wrong and what to do."""

    code = ErrorCode.INTERNAL_SERVER_ERROR


class BadUserInput(ShardboardError):
    """The caller gave something that can never work as it is; nothing was changed."""

    code = ErrorCode.BAD_USER_INPUT


class Unauthenticated(ShardboardError):
    """The request carries no valid credential."""

    code = ErrorCode.UNAUTHENTICATED


class Forbidden(ShardboardError):
    """The credential does not allow this."""

    code = ErrorCode.FORBIDDEN


class NotFound(ShardboardError):
    """What was named does not exist."""

    code = ErrorCode.NOT_FOUND


class Conflict(ShardboardError):
    """The submission id was used before with other content."""

    code = ErrorCode.CONFLICT


class RateLimited(ShardboardError):
    """Too many requests; try again after `retry_after_s` whole seconds.

    `limit` is how many a minute the caller may send, where it is that which was reached.
    """

    code = ErrorCode.RATE_LIMITED

    def __init__(self, message: str, retry_after_s: int, limit: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.limit = limit


class QueryTooComplex(ShardboardError):
    """The query is too deep, too wide or too dear; nothing ran."""

    code = ErrorCode.QUERY_TOO_COMPLEX


class Unavailable(ShardboardError):
    """A part that this needs does not answer; safe to retry with the same submissionId.

    `retry_after_s` is after how many whole seconds that is worth it, where anybody can tell.
    """

    code = ErrorCode.UNAVAILABLE

    def __init__(self, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TookTooLong(Unavailable):
    """The time that a request may take was up; what it wrote may have been recorded."""


class OperatorError(ShardboardError):
    """Something an operator has to mend; the command line prints it in one line."""


class MapError(OperatorError):
    """The shards' answers have a hole or two owners for one bucket."""


class NoTables(OperatorError):
    """A shard's database has no tables yet."""

    def __init__(self, shard: str) -> None:
        super().__init__(f"Shard {shard} has no tables yet; run `shardboard migrate`.")
