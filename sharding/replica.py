"""One read replica of a shard: how fresh it is, whether it may answer, and asking it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import asyncpg

from db.history import HistoryRequest, HistoryRows, read_history
from db.postgres import Postgres
from db.replica_state import LogPosition, read_log_position
from domain.coalescer import Coalescer, Gate
from domain.errors import OperatorError, ShardboardError, Unavailable
from domain.metrics.catalogue import REPLICA_LAG_SECONDS, REPLICA_USED
from domain.resilience.limits import REPLICA_ASK_S_MAX, REPLICA_REST_S
from sharding.log_samples import LogSamples

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_LONG_AGO = float("-inf")
_NOT_YET = "it was not looked at yet"
# A replica that is well has the newest of the log a few milliseconds after the primary.
_SECOND_LOOKS_S = (0.02, 0.08)


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """What is known of a replica.

    address: its host and port.
    is_used: whether it answers reads now.
    lag_s: how far it was behind at the last look, at most; None where that is not known.
    why_not: why it is left out; None where it is used.
    """

    address: str
    is_used: bool
    lag_s: float | None
    why_not: str | None


class Replica:
    """One replica. Until a first look at it, it is left out.

    Attributes:
        fresh_at: it holds all that was acknowledged until then, by `time.monotonic`.
    """

    def __init__(
        self, postgres: Postgres, address: str, lag_s_max: float, *, slots: int, batch_max: int, gate: Gate
    ) -> None:
        self.fresh_at = _LONG_AGO
        self._postgres = postgres
        self._address = address
        self._lag_s_max = lag_s_max
        self._lag_s: float | None = None
        self._why_not: str | None = _NOT_YET
        self._rests_until = _LONG_AGO
        self._replayed: int | None = None
        self._strayed_at: int | None = None
        self._history: Coalescer[HistoryRequest, HistoryRows | None] = Coalescer(
            self._read_history,
            name=f"A replica of shard {postgres.name}",
            work="read histories",
            slots=slots,
            batch_max=batch_max,
            queue_max=batch_max,
            gate=gate,
            admit=postgres.breaker.require,
        )

    def may_answer(self, now: float, written_at: float) -> bool:
        """Whether it may answer who must see all that was written until `written_at`."""
        return written_at <= self.fresh_at and now <= self.fresh_at + self._lag_s_max

    def state(self) -> ReplicaState:
        """What is known of it now."""
        is_used = self.may_answer(time.monotonic(), _LONG_AGO)
        why_not = None if is_used else self._why_not or "what was seen of it last is too long ago"
        return ReplicaState(self._address, is_used, self._lag_s, why_not)

    def show(self) -> None:
        """Let the metrics say what is known of it now."""
        state = self.state()
        REPLICA_USED.of(self._postgres.name, self._address).set(state.is_used)
        lag = REPLICA_LAG_SECONDS.of(self._postgres.name, self._address)
        if state.lag_s is None:
            lag.clear()
        else:
            lag.set(state.lag_s)

    async def history(self, request: HistoryRequest) -> HistoryRows | None:
        """Sessions of a player; None where it does not own the player's bucket, or did not answer in time."""
        try:
            return await self._history.put(request)
        except (TimeoutError, ShardboardError, asyncpg.PostgresError):
            return None

    async def ask(self, read: Callable[[Postgres], Awaitable[Answer]], s_max: float) -> Answer | None:
        """What `read` finds; None where there is no answer in time: then it is left out for a while."""
        try:
            return await self._asked(read, s_max)
        except (TimeoutError, ShardboardError, asyncpg.PostgresError):
            return None

    async def look(self, primary: LogPosition, samples: LogSamples) -> None:
        """See how far it has come.

        Args:
            primary: where the primary stood just before.
            samples: where it stood at which time.
        """
        began_at = time.monotonic()
        try:
            found = await read_log_position(self._postgres)
            for rest_s in _SECOND_LOOKS_S:
                if found.position is None or primary.position is None or found.position >= primary.position:
                    break
                await asyncio.sleep(rest_s)
                found = await read_log_position(self._postgres)
        except (ShardboardError, asyncpg.PostgresError) as error:
            self._leave_out(_why_no_answer(error), None)
            return
        strayed = self._why_no_replica(found, primary)
        if strayed is not None:
            self._leave_out(strayed, None)
            return
        fresh_at = samples.time_of(found.position or 0)
        lag_s = None if fresh_at is None else time.monotonic() - fresh_at
        if fresh_at is None or lag_s is None or lag_s > self._lag_s_max:
            behind = "longer than is remembered" if lag_s is None else f"{lag_s:.1f} s"
            self._leave_out(f"it is behind by {behind}", lag_s)
        elif began_at >= self._rests_until:
            self._lag_s, self.fresh_at = lag_s, fresh_at
            if self._why_not is not None:
                self._why_not = None
                logger.info("shard %s: the replica at %s is used", self._postgres.name, self._address)

    async def close(self) -> None:
        """Close every connection."""
        self.fresh_at = _LONG_AGO
        REPLICA_USED.of(self._postgres.name, self._address).clear()
        REPLICA_LAG_SECONDS.of(self._postgres.name, self._address).clear()
        await self._postgres.close()

    async def _read_history(self, requests: list[HistoryRequest]) -> Sequence[HistoryRows | None]:
        return await self._asked(lambda postgres: read_history(postgres, requests), REPLICA_ASK_S_MAX)

    async def _asked(self, read: Callable[[Postgres], Awaitable[Answer]], s_max: float) -> Answer:
        try:
            async with asyncio.timeout(s_max):
                return await read(self._postgres)
        except (TimeoutError, ShardboardError, asyncpg.PostgresError) as error:
            self._rests_until = time.monotonic() + REPLICA_REST_S
            self._leave_out(f"a request failed: {_why_no_answer(error)}", self._lag_s)
            raise

    def _why_no_replica(self, found: LogPosition, primary: LogPosition) -> str | None:
        """Why it is none of this primary; None where it is one."""
        if not found.follows:
            return "it follows nobody: it was promoted, or never was a replica"
        if found.system != primary.system:
            return "it is a copy of another Postgres"
        if found.timeline > primary.timeline:
            return "it went its own way: it was promoted once, and has to be made anew"
        if found.position is None:
            return "it does not say how far it has come"
        # What the primary had not even written when the replica had replayed it is not the primary's.
        if self._replayed is not None and primary.position is not None and self._replayed > primary.position:
            self._strayed_at = self._replayed
        self._replayed = found.position
        if found.position == self._strayed_at:
            return "it holds what its primary never wrote, and has to be made anew"
        self._strayed_at = None
        return None

    def _leave_out(self, why: str, lag_s: float | None) -> None:
        self.fresh_at, self._lag_s = _LONG_AGO, lag_s
        if self._why_not is None or self._why_not is _NOT_YET:
            logger.warning("shard %s: the replica at %s is left out: %s", self._postgres.name, self._address, why)
            self._history.refuse_waiting(Unavailable(why))
        self._why_not = why


def _why_no_answer(error: BaseException) -> str:
    if isinstance(error, OperatorError | asyncpg.PostgresError):
        return str(error)
    cause = error.__cause__
    if cause is None or isinstance(cause, TimeoutError):
        return "it does not answer in time"
    return f"it does not answer ({cause})"
