"""The coalescing writer of one shard: many concurrent submissions, few statements."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncpg

from db.errors import is_retryable, refusal_of
from db.postgres import Postgres
from db.scores import Outcomes, record_sessions
from domain.coalescer import Coalescer, Gate
from domain.errors import Unavailable
from domain.submission import Submission

# How often a statement that may work when sent again is sent again, the first time included.
ATTEMPTS_MAX = 4
RECONNECTS_MAX = 2

Placed = tuple[int, Submission]


class ShardWriter:
    """Groups submissions to one shard into batches of one statement each."""

    def __init__(
        self,
        postgres: Postgres,
        *,
        flushes_in_flight: int,
        batch_rows_max: int,
        queue_rows_max: int,
        gate: Gate | None = None,
    ) -> None:
        self._postgres = postgres
        self._coalescer: Coalescer[Placed, Outcomes] = Coalescer(
            self._flush,
            name=f"Shard {postgres.name}",
            slots=flushes_in_flight,
            batch_max=batch_rows_max,
            queue_max=queue_rows_max,
            gate=gate,
        )

    def record(self, bucket: int, submission: Submission) -> asyncio.Future[Outcomes]:
        """Record one submission with whatever else is on its way to this shard; the future holds what became of it.

        Raises:
            Unavailable: too much is waiting; in the future, the shard does not answer.
            BadUserInput: in the future, the total would leave its range.
        """
        return self._coalescer.put((bucket, submission))

    async def drained(self) -> None:
        """Return once every accepted submission has its answer."""
        await self._coalescer.drained()

    async def _flush(self, batch: list[Placed]) -> Sequence[Outcomes | Exception]:
        return await record_each(self._postgres, batch)


async def record_each(
    postgres: Postgres, batch: Sequence[Placed], *, rename: bool = True, timeout_s: float | None = None
) -> list[Outcomes | Exception]:
    """Record a batch in one statement; one that is refused for a reason of its own fails nobody but itself.

    Args:
        rename: whether a name given is shown from now on; when False, only if its session is the player's newest.

    Raises:
        Unavailable: the shard does not answer; sending the batch again is safe.
    """
    try:
        return list(await _record_surely(postgres, batch, rename, timeout_s))
    except asyncpg.PostgresError as error:
        if len(batch) == 1:
            return [refusal_of(error) or error]
        # Halves, and halves of these: in the end the refused one stands alone, after few statements.
        middle = len(batch) // 2
        first = await record_each(postgres, batch[:middle], rename=rename, timeout_s=timeout_s)
        return first + await record_each(postgres, batch[middle:], rename=rename, timeout_s=timeout_s)


async def _record_surely(
    postgres: Postgres, batch: Sequence[Placed], rename: bool, timeout_s: float | None
) -> list[Outcomes]:
    """Send the batch again while that can help: ids make it safe even where the first commit's answer got lost."""
    attempt = 1
    while True:
        try:
            return await record_sessions(postgres, batch, rename=rename, timeout_s=timeout_s)
        except Unavailable as error:
            # A connection that broke (a restarted PgBouncer) is opened anew at once; what timed out is not tried
            # again, because its callers' deadline has passed as well.
            if attempt == RECONNECTS_MAX or isinstance(error.__cause__, TimeoutError):
                raise
        except asyncpg.PostgresError as error:
            if attempt == ATTEMPTS_MAX or not is_retryable(error):
                raise
        attempt += 1
