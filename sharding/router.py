"""Finds the shard that owns a player, and follows when the owner changes.

A shard refuses what it does not own, so a map that is out of date costs a round trip and never a wrong write: the
router asks the shards again and sends what was refused to the new owner.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import asyncpg

from db.history import HistoryRequest, HistoryRows, read_history
from db.ownership import read_owned
from db.postgres import Postgres
from db.scores import Outcomes, find_sessions
from domain.coalescer import Coalescer, Gate
from domain.errors import MapError, OperatorError, Unavailable
from domain.submission import Submission
from sharding.shardmap import Claim, ShardMap, build_map
from sharding.writer import ShardWriter

logger = logging.getLogger(__name__)

# How often a request follows a bucket that is moving, and how long it rests in between: 2 s in all.
_FOLLOWS_MAX = 40
_FOLLOW_REST_S = 0.05
# A map with a silent shard in it is built anew at most so often.
_REFRESH_INTERVAL_S = 0.5

# Of so many shards one is flushed at a time, where the limits do not say otherwise.
_SHARDS_A_FLUSH = 4
# A flush that takes longer than this does not keep other shards' from starting.
_FLUSH_LEASE_S = 0.02

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class WriteLimits:
    """The bounds of each shard's writer, for one process.

    `flushes_in_flight` counts for each shard, `flushes_at_once` for all together: None is one for every four shards.
    """

    flushes_in_flight: int = 1
    flushes_at_once: int | None = None
    batch_rows_max: int = 500
    queue_rows_max: int = 20_000


class Shard:
    """One shard: its Postgres, its coalescing writer and its coalescing reader of histories."""

    def __init__(self, postgres: Postgres, limits: WriteLimits, gate: Gate) -> None:
        self.name = postgres.name
        self.postgres = postgres
        self.writer = ShardWriter(
            postgres,
            flushes_in_flight=limits.flushes_in_flight,
            batch_rows_max=limits.batch_rows_max,
            queue_rows_max=limits.queue_rows_max,
            gate=gate,
        )
        self.sessions: Coalescer[UUID, int | None] = Coalescer(
            self._find_sessions,
            name=f"Shard {postgres.name}",
            slots=1,
            batch_max=limits.batch_rows_max,
            queue_max=limits.queue_rows_max,
        )
        self.history: Coalescer[HistoryRequest, HistoryRows | None] = Coalescer(
            lambda requests: read_history(postgres, requests),
            name=f"Shard {postgres.name}",
            slots=limits.flushes_in_flight,
            batch_max=limits.batch_rows_max,
            queue_max=limits.queue_rows_max,
            gate=gate,
        )

    async def _find_sessions(self, ids: list[UUID]) -> list[int | None]:
        found = await find_sessions(self.postgres, ids)
        return [found.get(id_) for id_ in ids]


class Router:
    """All shards, and the map of who owns what."""

    def __init__(self, postgreses: Sequence[Postgres], limits: WriteLimits | None = None) -> None:
        limits = limits or WriteLimits()
        gate = Gate(limits.flushes_at_once or -(-len(postgreses) // _SHARDS_A_FLUSH), _FLUSH_LEASE_S)
        self.shards: Mapping[str, Shard] = {p.name: Shard(p, limits, gate) for p in postgreses}
        self._claims: dict[str, list[Claim] | None] = dict.fromkeys(self.shards)
        self._map: ShardMap | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._refreshed_at = float("-inf")

    async def open(self) -> None:
        """Build the first map; shards that do not answer are filled in when they do.

        Raises:
            MapError: the shards' answers make no valid map.
            OperatorError: a shard is not migrated, or an address leads to another shard.
        """
        await self.refresh()

    async def close(self) -> None:
        """Answer what was accepted, then close every connection."""
        await asyncio.gather(*(shard.writer.drained() for shard in self.shards.values()))
        await asyncio.gather(*(shard.postgres.close() for shard in self.shards.values()))

    async def record(self, submission: Submission) -> Outcomes:
        """Record a submission on the shard that owns its player.

        Raises:
            Unavailable: that shard does not answer, or the player's bucket kept moving for too long.
            BadUserInput: the total would leave its range.
        """
        for _ in range(_FOLLOWS_MAX):
            bucket, shard = await self.locate(submission.user_id)
            outcomes = await shard.writer.record(bucket, submission)
            if not _has_left(outcomes):
                return outcomes
            await self._follow(outcomes.outcome == "moved")
        raise _still_moving(submission.user_id)

    async def record_all(self, submissions: Sequence[Submission]) -> list[Outcomes | Exception]:
        """`record` for many, each for itself: what became of it or its error, in order."""

        def begin(submission: Submission) -> asyncio.Future[Outcomes]:
            try:
                bucket, name = self._current.owner_of(submission.user_id)
                return self.shards[name].writer.record(bucket, submission)
            except Unavailable:
                # Its shard was away when the map was built; `record` looks again.
                return asyncio.ensure_future(self.record(submission))

        outcomes = await asyncio.gather(*map(begin, submissions), return_exceptions=True)
        followed = await asyncio.gather(
            *(
                self.record(submission)
                for submission, each in zip(submissions, outcomes, strict=True)
                if _has_left(each)
            ),
            return_exceptions=True,
        )
        later = iter(followed)
        answers = [next(later) if _has_left(each) else each for each in outcomes]
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, Exception):
                raise answer
        return [answer for answer in answers if isinstance(answer, (Outcomes, Exception))]

    async def is_anothers(self, submission: Submission) -> bool:
        """Whether the submission's id is that of another player's session, on whichever shard; asks all of them.

        A shard that does not answer is left out: its ids cannot be checked, and other shards' players must not wait.
        """
        owners = await asyncio.gather(
            *(shard.sessions.put(submission.id) for shard in self.shards.values()), return_exceptions=True
        )
        return any(isinstance(owner, int) and owner != submission.user_id for owner in owners)

    async def history(self, user_id: int, request: Callable[[int], HistoryRequest]) -> HistoryRows:
        """Sessions of one player; `request` makes the request for the player's bucket.

        Raises:
            Unavailable: the player's shard does not answer.
        """
        for _ in range(_FOLLOWS_MAX):
            bucket, shard = await self.locate(user_id)
            rows = await shard.history.put(request(bucket))
            if rows is not None:
                return rows
            await self._follow(moved=True)
        raise _still_moving(user_id)

    async def scatter_keys(
        self,
        user_ids: Sequence[int],
        read: Callable[[Postgres, Sequence[tuple[int, int]]], Awaitable[tuple[dict[int, Answer], list[int]]]],
    ) -> dict[int, Answer | Unavailable]:
        """Ask each shard that owns some of the players once, all at the same time.

        Args:
            read: asks one shard about (bucket, user id) pairs; answers by user id, and whom the shard does not own.

        Returns:
            What is known, by user id; an `Unavailable` for every player of a shard that does not answer.
        """
        answers: dict[int, Answer | Unavailable] = {}
        waiting: Sequence[int] = list(dict.fromkeys(user_ids))
        for _ in range(_FOLLOWS_MAX):
            groups: dict[str, list[tuple[int, int]]] = {}
            for user_id in waiting:
                try:
                    bucket, shard = await self.locate(user_id)
                except Unavailable as error:
                    answers[user_id] = error
                else:
                    groups.setdefault(shard.name, []).append((bucket, user_id))
            found = await asyncio.gather(
                *(read(self.shards[name].postgres, keys) for name, keys in groups.items()), return_exceptions=True
            )
            waiting = []
            for keys, result in zip(groups.values(), found, strict=True):
                if isinstance(result, Unavailable):
                    answers |= {user_id: result for _, user_id in keys}
                elif isinstance(result, BaseException):
                    raise result
                else:
                    answers |= result[0]
                    waiting += result[1]
            if not waiting:
                return answers
            await self._follow(moved=True)
        return answers | {user_id: _still_moving(user_id) for user_id in waiting}

    async def scatter(self, read: Callable[[Postgres], Awaitable[Answer]]) -> list[Answer]:
        """Ask every shard, all at the same time.

        Raises:
            Unavailable: one of them does not answer.
        """
        return await asyncio.gather(*(read(shard.postgres) for shard in self.shards.values()))

    async def locate(self, user_id: int) -> tuple[int, Shard]:
        """The bucket of a player and the shard that owns it.

        Raises:
            Unavailable: the owner is not known, because a shard does not answer.
        """
        try:
            bucket, name = self._current.owner_of(user_id)
        except Unavailable:
            if time.monotonic() < self._refreshed_at + _REFRESH_INTERVAL_S:
                raise
            await self.refresh()
            bucket, name = self._current.owner_of(user_id)
        return bucket, self.shards[name]

    def owned(self) -> dict[str, int]:
        """How many buckets each shard owns, as far as this process knows."""
        owners = self._current.owners
        return {name: owners.count(name) for name in self.shards}

    async def refresh(self) -> None:
        """Ask every shard what it owns, and build the map anew. Concurrent callers share one round of questions.

        A shard that does not answer is taken at its last word: what it gave away since then, its new owner claims
        with a higher epoch.

        Raises:
            MapError: the answers make no valid map, and there is none yet.
        """
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh())
            self._refreshing.add_done_callback(self._refreshed)
        await asyncio.shield(self._refreshing)

    def _refreshed(self, _: asyncio.Task[None]) -> None:
        self._refreshing = None
        self._refreshed_at = time.monotonic()

    async def _refresh(self) -> None:
        names = list(self.shards)
        answers = await asyncio.gather(*(self._ask(self.shards[name].postgres) for name in names))
        for name, claims in zip(names, answers, strict=True):
            if claims is not None:
                self._claims[name] = claims
        try:
            self._map = build_map(self._claims)
        except MapError:
            if self._map is None:
                raise
            logger.exception("the shards' answers make no valid map; the last one stays in use")

    async def _ask(self, postgres: Postgres) -> list[Claim] | None:
        try:
            return [Claim(owned.bucket, owned.epoch) for owned in await read_owned(postgres)]
        except Unavailable as error:
            logger.warning("shard %s does not answer: %s", postgres.name, error.__cause__)
            return None
        except asyncpg.UndefinedTableError as error:
            raise OperatorError(f"Shard {postgres.name} has no tables yet; run `shardboard migrate`.") from error

    async def _follow(self, moved: bool) -> None:
        if moved:
            await self.refresh()
        await asyncio.sleep(_FOLLOW_REST_S)

    @property
    def _current(self) -> ShardMap:
        if self._map is None:
            raise OperatorError("The router was not opened.")
        return self._map


def _has_left(outcome: Outcomes | BaseException) -> bool:
    """Whether the shard that was asked does not, or not now, own the player."""
    return isinstance(outcome, Outcomes) and outcome.outcome in ("moved", "frozen")


def _still_moving(user_id: int) -> Unavailable:
    return Unavailable(f"The data of player {user_id} is being moved; try again with the same submissionId.")
