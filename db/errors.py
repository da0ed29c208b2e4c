"""What the driver raises, as the domain's errors: the one place that knows constraint names and SQLSTATEs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from domain.errors import BadUserInput, ShardboardError, Unavailable
from domain.submission import SCORE_MAX

# The statement did nothing and the same statement can work a moment later.
_RETRYABLE = (
    asyncpg.UniqueViolationError,  # the same submission id came in on another connection at the same time
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.InvalidSQLStatementNameError,
    asyncpg.InvalidCachedStatementError,
)

_BROKEN = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.ProtocolViolationError,  # PgBouncer's word for: no server, no slot, going down
)

_GONE = (
    *_BROKEN,
    TimeoutError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InternalClientError,
    asyncpg.PostgresSystemError,
    PoolTimeoutError,
    InterfaceError,
    OperationalError,
)


@contextmanager
def as_unavailable(shard: str) -> Iterator[None]:
    """Turn everything that says "no answer" into `Unavailable`; all else passes."""
    try:
        yield
    except ShardboardError:
        raise
    except _GONE as error:
        raise Unavailable(does_not_answer(shard)) from error
    except DBAPIError as error:
        cause = error.orig.__cause__ if error.orig else None
        if isinstance(cause, asyncpg.LockNotAvailableError):
            raise Unavailable(f"Shard {shard} is busy: somebody holds a lock that this needs; try again.") from error
        if error.connection_invalidated or isinstance(cause, _GONE):
            raise Unavailable(does_not_answer(shard)) from error
        raise


def does_not_answer(shard: str) -> str:
    """What a client is told whose shard is away."""
    return f"Shard {shard} does not answer; try again with the same submissionId."


def is_no_answer(error: BaseException | None) -> bool:
    """Whether the connection failed, which raises the doubt whether the Postgres is there at all.

    A time-out is none: whoever gave little time gets it from a Postgres that is well.
    """
    return isinstance(error, _BROKEN) and not isinstance(error, TimeoutError)


def is_retryable(error: BaseException) -> bool:
    """Whether the same statement, sent again, can succeed."""
    return isinstance(error, _RETRYABLE)


def refusal_of(error: asyncpg.PostgresError) -> ShardboardError | None:
    """What a Postgres error that one submission caused by itself means to its client; None where it is none."""
    if isinstance(error, asyncpg.CheckViolationError):
        if error.constraint_name in ("leaderboard_total_range", "game_sessions_total_range"):
            return BadUserInput(
                f"input.score would bring the player's total beyond ±{SCORE_MAX}, the exact integers of a JSON "
                "number; nothing was recorded."
            )
        if error.constraint_name is None:
            return Unavailable(
                "There is no partition for the month of this session; run `shardboard sessions partitions`."
            )
    return None
