"""The coalescing writer of one shard: many concurrent submissions, few statements."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from time import monotonic

import asyncpg

from db.errors import is_retryable, refusal_of
from db.postgres import Postgres
from db.scores import Outcomes, record_sessions
from domain.coalescer import Coalescer, Gate
from domain.errors import Unavailable
from domain.metrics.catalogue import BATCH_SIZE, FLUSH_DURATION
from domain.requests import CurrentRequest, current_request
from domain.resilience.limits import CONNECT_TRIES_MAX, STATEMENT_TRIES_MAX
from domain.submission import Submission

Placed = tuple[int, Submission]
_Waiting = tuple[int, Submission, CurrentRequest | None]


class ShardWriter:
    """Groups submissions to one shard into batches of one statement each.

    Args:
        acknowledging: told of the players of a batch when it is committed, before anybody is answered.
    """

    def __init__(
        self,
        postgres: Postgres,
        *,
        flushes_in_flight: int,
        batch_rows_max: int,
        queue_rows_max: int,
        gate: Gate | None = None,
        acknowledging: Callable[[Iterable[int]], None] | None = None,
    ) -> None:
        self._postgres = postgres
        self._acknowledging = acknowledging
        self._batch_size = BATCH_SIZE.of(postgres.name)
        self._flush_duration = FLUSH_DURATION.of(postgres.name)
        self._coalescer: Coalescer[_Waiting, Outcomes] = Coalescer(
            self._flush,
            name=f"Shard {postgres.name}",
            work="record sessions",
            slots=flushes_in_flight,
            batch_max=batch_rows_max,
            queue_max=queue_rows_max,
            gate=gate,
            admit=postgres.breaker.require,
        )
        postgres.breaker.watch(self._coalescer.refuse_waiting)

    def record(self, bucket: int, submission: Submission) -> asyncio.Future[Outcomes]:
        """Record one submission with whatever else is on its way to this shard; the future holds what became of it.

        Raises:
            Unavailable: too much is waiting; in the future, the shard does not answer.
            BadUserInput: in the future, the total would leave its range.
        """
        request = current_request()
        if request is not None:
            request.touch(self._postgres.name)
        return self._coalescer.put((bucket, submission, request))

    @property
    def waiting(self) -> int:
        """How many submissions are queued and not yet under way."""
        return self._coalescer.waiting

    async def drained(self) -> None:
        """Return once every accepted submission has its answer."""
        await self._coalescer.drained()

    async def _flush(self, batch: list[_Waiting]) -> Sequence[Outcomes | Exception]:
        size = len(batch)
        self._batch_size.observe(size)
        placed: list[Placed] = []
        for bucket, submission, request in batch:
            placed.append((bucket, submission))
            if request is not None:
                request.batch_rows = size
        began_at = monotonic()
        try:
            outcomes = await record_each(self._postgres, placed)
        finally:
            self._flush_duration.observe(monotonic() - began_at)
        if self._acknowledging is not None:
            self._acknowledging(submission.user_id for _, submission in placed)
        return outcomes


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
            # A connection that broke (a restarted PgBouncer) is opened anew at once. What timed out, or was not sent at
            # all because the shard is away, is not tried again: its callers have no time left for it.
            if attempt == CONNECT_TRIES_MAX or error.__cause__ is None or isinstance(error.__cause__, TimeoutError):
                raise
        except asyncpg.PostgresError as error:
            if attempt == STATEMENT_TRIES_MAX or not is_retryable(error):
                raise
        attempt += 1
