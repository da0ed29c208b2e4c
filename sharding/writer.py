"""The coalescing writer of one shard: many concurrent submissions, few statements."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from db.errors import is_retryable, refusal_of
from db.postgres import Postgres
from db.scores import Outcomes, record_sessions
from domain.coalescer import Coalescer
from domain.errors import Unavailable
from domain.submission import Submission

# How often a statement that may work when sent again is sent again, the first time included.
ATTEMPTS_MAX = 4
RECONNECTS_MAX = 2

Placed = tuple[int, Submission]


class ShardWriter:
    """Groups submissions to one shard into batches of one statement each."""

    def __init__(self, postgres: Postgres, *, flushes_in_flight: int, batch_rows_max: int, queue_rows_max: int) -> None:
        self._postgres = postgres
        self._coalescer: Coalescer[Placed, Outcomes] = Coalescer(
            self._flush,
            name=f"Shard {postgres.name}",
            slots=flushes_in_flight,
            batch_max=batch_rows_max,
            queue_max=queue_rows_max,
        )

    async def record(self, bucket: int, submission: Submission) -> Outcomes:
        """Record one submission with whatever else is on its way to this shard.

        Raises:
            Unavailable: the shard does not answer or has too much waiting.
            BadUserInput: the total would leave its range.
        """
        return await self._coalescer.put((bucket, submission))

    async def drained(self) -> None:
        """Return once every accepted submission has its answer."""
        await self._coalescer.drained()

    async def _flush(self, batch: list[Placed]) -> Sequence[Outcomes | Exception]:
        try:
            return await self._record_surely(batch)
        except asyncpg.PostgresError as error:
            if len(batch) == 1:
                return [refusal_of(error) or error]
            # One of them is refused for a reason of its own; alone, each gets what it deserves.
            return [result for placed in batch for result in await self._flush([placed])]

    async def _record_surely(self, batch: list[Placed]) -> list[Outcomes]:
        """Send the batch again while that can help: ids make it safe even where the first commit's answer got lost."""
        attempt = 1
        while True:
            try:
                return await record_sessions(self._postgres, batch)
            except Unavailable as error:
                # A connection that broke (a restarted PgBouncer) is opened anew at once; what timed out is not tried
                # again, because its callers' deadline has passed as well.
                if attempt == RECONNECTS_MAX or isinstance(error.__cause__, TimeoutError):
                    raise
            except asyncpg.PostgresError as error:
                if attempt == ATTEMPTS_MAX or not is_retryable(error):
                    raise
            attempt += 1
