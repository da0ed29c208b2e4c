"""Finds the shard that owns a player, and follows when the owner changes and when shards come and go.

A shard refuses what it does not own, so a map that is out of date costs a round trip and never a wrong write: the
router asks the shards again and sends what was refused to the new owner.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import asyncpg

from db.directory import DirectoryEntry, read_directory
from db.history import HistoryRequest, HistoryRows, read_history
from db.ownership import Ownership, claim_buckets, read_ownership
from db.postgres import Postgres
from db.scores import Outcomes, find_sessions
from domain.coalescer import Coalescer, Gate
from domain.errors import MapError, OperatorError, ShardboardError, Unavailable
from domain.submission import Submission
from domain.tasks import end_tasks
from sharding.known_shards import newest_entries, present_shards
from sharding.shardmap import ShardMap, build_map
from sharding.writer import ShardWriter

logger = logging.getLogger(__name__)

# How long a request that follows a moving bucket rests before its next try. A switch takes 10 to 40 ms, and a rest is
# what a player waits on top of it; who waits for longer waits for something else.
_FIRST_REST_S = 0.003
_REST_GROWTH = 1.5
_REST_S_MAX = 0.05
_RESTS_S_SUM = 2.0
# A map with a silent shard in it is built anew at most so often.
_REFRESH_INTERVAL_S = 0.5
# A shard that does not say in time what it owns is taken at its last word: other shards' players wait for the map.
_ASK_S_MAX = 1.0
# What a removed shard accepted before is answered within so long.
_DRAIN_S_MAX = 10.0

# Of so many shards one is flushed at a time, where the limits do not say otherwise.
_SHARDS_A_FLUSH = 4
# A flush that takes longer than this does not keep other shards' from starting.
_FLUSH_LEASE_S = 0.02

Answer = TypeVar("Answer")


def _rests() -> Iterator[float]:
    rest_s, sum_s = _FIRST_REST_S, 0.0
    while sum_s < _RESTS_S_SUM:
        yield rest_s
        sum_s += rest_s
        rest_s = min(rest_s * _REST_GROWTH, _REST_S_MAX)


_RESTS_S = tuple(_rests())


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

    def __init__(self, postgres: Postgres, url: str, limits: WriteLimits, gate: Gate) -> None:
        self.name = postgres.name
        self.url = url
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

    async def close(self, drain_s_max: float | None = None) -> None:
        """Answer what was accepted, then close every connection.

        Args:
            drain_s_max: how long to wait for the answers; None: for as long as they take.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(drain_s_max):
                await self.writer.drained()
        await self.postgres.close()

    async def _find_sessions(self, ids: list[UUID]) -> list[int | None]:
        found = await find_sessions(self.postgres, ids)
        return [found.get(id_) for id_ in ids]


@dataclass(frozen=True, slots=True)
class _Word:
    """What a shard says: what it owns and gave away, and where all shards are."""

    ownership: Ownership
    directory: Sequence[DirectoryEntry]


class Router:
    """All shards that there are now, and the map of who owns what.

    `shards` are by name, those of the settings first. It is replaced when one comes or goes, never changed.

    Args:
        seeds: the shards of the settings; the others are found through them.
        connect: makes the Postgres of a shard's name and address; connected when first used.
    """

    def __init__(
        self,
        seeds: Sequence[DirectoryEntry],
        connect: Callable[[str, str], Postgres],
        limits: WriteLimits | None = None,
    ) -> None:
        self._seeds = seeds
        self._connect = connect
        self._limits = limits or WriteLimits()
        self._gate = Gate(self._gate_width(len(seeds)), _FLUSH_LEASE_S)
        self._directory: dict[str, DirectoryEntry] = {}
        self.shards: Mapping[str, Shard] = {seed.name: self._make_shard(seed) for seed in seeds}
        self._words: dict[str, Ownership] = {}
        self._map: ShardMap | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._refreshed_at = float("-inf")
        self._watchers: list[Callable[[], None]] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._complaints: dict[str, str] = {}

    async def open(self) -> None:
        """Find the shards and build the first map; shards that do not answer are filled in when they do.

        Raises:
            MapError: the shards' answers make no valid map.
            OperatorError: a shard is not migrated, or an address leads to another shard. One that only a directory
                names is left out instead, unless it owns something.
        """
        await self.refresh()

    async def keep_fresh(self, interval_s: float) -> None:
        """Refresh for ever, so that a process without traffic learns of new shards, too."""
        while True:
            await asyncio.sleep(interval_s)
            try:
                await self.refresh()
            except ShardboardError as error:
                self._complain("the map", str(error))
            except Exception:
                logger.exception("the shards were not asked; they are asked again")

    async def close(self) -> None:
        """Answer what was accepted, then close every connection."""
        if self._refreshing is not None:
            await end_tasks([self._refreshing])
        await asyncio.gather(*(shard.close() for shard in self.shards.values()), *self._closing)

    def watch_shards(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` whenever `shards` was replaced, until the function that is returned is called."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    @property
    def map(self) -> ShardMap:
        """Who owns what, as far as this process knows.

        Raises:
            OperatorError: the router was not opened.
        """
        if self._map is None:
            raise OperatorError("The router was not opened.")
        return self._map

    async def record(self, submission: Submission) -> Outcomes:
        """Record a submission on the shard that owns its player.

        Raises:
            Unavailable: that shard does not answer, or the player's bucket kept moving for too long.
            BadUserInput: the total would leave its range.
        """
        for rest_s in _RESTS_S:
            bucket, shard = await self.locate(submission.user_id)
            outcomes = await shard.writer.record(bucket, submission)
            if not _has_left(outcomes):
                return outcomes
            await self._follow(rest_s, [(bucket, shard.name)] if outcomes.outcome == "moved" else [])
        raise _still_moving(submission.user_id)

    async def record_all(self, submissions: Sequence[Submission]) -> list[Outcomes | Exception]:
        """`record` for many, each for itself: what became of it or its error, in order."""

        def begin(submission: Submission) -> asyncio.Future[Outcomes]:
            try:
                bucket, shard = self._locate_now(submission.user_id)
                return shard.writer.record(bucket, submission)
            except Unavailable:
                # Its shard was away when the map was built; `record` looks again.
                return asyncio.ensure_future(self.record(submission))

        outcomes = await asyncio.gather(*map(begin, submissions), return_exceptions=True)
        if any(isinstance(each, Outcomes) and each.outcome == "moved" for each in outcomes):
            await self.refresh()
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
            Unavailable: the player's shard does not answer, or the player's bucket kept moving for too long.
        """
        for rest_s in _RESTS_S:
            bucket, shard = await self.locate(user_id)
            rows = await shard.history.put(request(bucket))
            if rows is not None:
                return rows
            await self._follow(rest_s, [(bucket, shard.name)])
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
        for rest_s in _RESTS_S:
            groups: dict[Shard, list[tuple[int, int]]] = {}
            for user_id in waiting:
                try:
                    bucket, shard = await self.locate(user_id)
                except Unavailable as error:
                    answers[user_id] = error
                else:
                    groups.setdefault(shard, []).append((bucket, user_id))
            found = await asyncio.gather(
                *(read(shard.postgres, keys) for shard, keys in groups.items()), return_exceptions=True
            )
            waiting = []
            moved: list[tuple[int, str]] = []
            for (shard, keys), result in zip(groups.items(), found, strict=True):
                if isinstance(result, Unavailable):
                    answers |= {user_id: result for _, user_id in keys}
                elif isinstance(result, BaseException):
                    raise result
                else:
                    answers |= result[0]
                    strangers = set(result[1])
                    waiting += result[1]
                    moved += [(bucket, shard.name) for bucket, user_id in keys if user_id in strangers]
            if not waiting:
                return answers
            await self._follow(rest_s, moved)
        return answers | {user_id: _still_moving(user_id) for user_id in waiting}

    async def scatter(self, read: Callable[[Postgres], Awaitable[Answer]]) -> list[Answer]:
        """Ask every shard, all at the same time.

        Raises:
            Unavailable: one of them does not answer.
        """
        return await asyncio.gather(*(read(shard.postgres) for shard in self.shards.values()))

    async def scatter_owned(self, read: Callable[[Postgres, Sequence[int]], Awaitable[Answer | None]]) -> list[Answer]:
        """Ask each shard about the buckets that it owns, all at the same time: each bucket on one shard alone.

        Args:
            read: asks one shard about buckets; answers None where the shard does not own all of them. Then all shards
                are asked again, by a newer map.

        Raises:
            Unavailable: a shard does not answer, or buckets kept moving for too long.
        """
        for rest_s in _RESTS_S:
            asked = await self.locate_all()
            answers = await asyncio.gather(*(read(shard.postgres, buckets) for shard, buckets in asked))
            known = [answer for answer in answers if answer is not None]
            if len(known) == len(asked):
                return known
            await self._follow(
                rest_s,
                [
                    (bucket, shard.name)
                    for (shard, buckets), answer in zip(asked, answers, strict=True)
                    if answer is None
                    for bucket in buckets
                ],
            )
        raise Unavailable("Players' data kept being moved between shards; try again shortly.")

    async def locate(self, user_id: int) -> tuple[int, Shard]:
        """The bucket of a player and the shard that owns it.

        Raises:
            Unavailable: the owner is not known, because a shard does not answer.
        """
        try:
            return self._locate_now(user_id)
        except Unavailable:
            if not self._may_ask_again:
                raise
            await self.refresh()
            return self._locate_now(user_id)

    async def locate_all(self) -> list[tuple[Shard, Sequence[int]]]:
        """Every shard that owns buckets, with its buckets in ascending order: all buckets there are.

        Raises:
            Unavailable: an owner is not known, because a shard does not answer.
        """
        try:
            return self._locate_all_now()
        except Unavailable:
            if not self._may_ask_again:
                raise
            await self.refresh()
            return self._locate_all_now()

    def owned(self) -> dict[str, int]:
        """How many buckets each shard owns, as far as this process knows."""
        return {name: len(self.map.owned.get(name, ())) for name in self.shards}

    async def refresh(self) -> None:
        """Ask every shard what it owns and which shards there are, and build the map anew.

        Concurrent callers share one round of questions. Shards that are new are asked, too; those that were removed are
        closed. A shard that was given buckets and does not know it yet is told: its mover may be dead.

        A shard that does not answer is taken at its last word: what it gave away since then, its new owner claims
        with a higher epoch.

        Raises:
            MapError: the answers make no valid map, and there is none yet.
            OperatorError: as for `open`, where there is no map yet.
        """
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh())
            self._refreshing.add_done_callback(self._refreshed)
        await asyncio.shield(self._refreshing)

    def _refreshed(self, _: asyncio.Task[None]) -> None:
        self._refreshing = None
        self._refreshed_at = time.monotonic()

    @property
    def _may_ask_again(self) -> bool:
        return time.monotonic() >= self._refreshed_at + _REFRESH_INTERVAL_S

    async def _refresh(self) -> None:
        asked: dict[Shard, _Word | OperatorError | None] = {}
        shards = self.shards
        directory = self._directory
        try:
            while new := [shard for shard in shards.values() if shard not in asked]:
                words = await asyncio.gather(*(self._ask(shard) for shard in new))
                asked |= zip(new, words, strict=True)
                told = (entry for word in words if isinstance(word, _Word) for entry in word.directory)
                directory = newest_entries([*directory.values(), *told])
                shards = self._reach(directory, shards)
        except BaseException:
            self._retire(shard for shard in {*asked, *shards.values()} if shard not in self.shards.values())
            raise
        words_now = {shard.name: word for shard, word in asked.items() if shards.get(shard.name) is shard}
        self._directory = directory
        self._words = {name: word for name, word in self._words.items() if name in shards} | {
            name: word.ownership for name, word in words_now.items() if isinstance(word, _Word)
        }
        self._take(shards, words_now, asked)
        await self._roll_forward({name for name, word in words_now.items() if isinstance(word, _Word)})

    def _take(
        self,
        shards: Mapping[str, Shard],
        words: Mapping[str, _Word | OperatorError | None],
        opened: Iterable[Shard],
    ) -> None:
        """Use these shards and the map that their words make from now on.

        Raises:
            MapError, OperatorError: there is no map, and these make none.
        """
        seeds = {seed.name for seed in self._seeds}
        refusals = {name: word for name, word in words.items() if isinstance(word, OperatorError)}
        # Of a shard that is none nothing can be expected, nor that it owns what nobody else does.
        kept = {name: shard for name, shard in shards.items() if name in seeds or name not in refusals}
        trouble: OperatorError | None = None
        stays = ""
        try:
            built = build_map({name: self._words.get(name) for name in kept})
            trouble = next((error for name, error in refusals.items() if name in seeds or name in built.owned), None)
        except MapError as error:
            # Where a shard of the settings is none, that is what the operator has to mend first.
            trouble = next((refusals[name] for name in refusals if name in seeds), error)
            stays = " The last valid map stays in use."
        else:
            if trouble is None or self._map is not None:
                self._map = built
        if kept != self.shards:
            old, self.shards = self.shards, kept
            self._gate.set_width(self._gate_width(len(kept)))
            for watcher in list(self._watchers):
                watcher()
        else:
            old = {}
        self._retire(shard for shard in {*opened, *old.values()} if kept.get(shard.name) is not shard)
        for name, refusal in refusals.items():
            self._complain(f"shard {name}", str(refusal))
        if trouble is None:
            self._complaints.pop("the map", None)
        elif self._map is None:
            raise trouble
        else:
            self._complain("the map", f"{trouble}{stays}")

    def _reach(self, directory: Mapping[str, DirectoryEntry], shards: Mapping[str, Shard]) -> dict[str, Shard]:
        """A `Shard` for each that there is; the same as before where its address is."""
        reached: dict[str, Shard] = {}
        for entry in present_shards(self._seeds, directory):
            shard = shards.get(entry.name)
            reached[entry.name] = shard if shard and shard.url == entry.url else self._make_shard(entry)
        return reached

    def _make_shard(self, entry: DirectoryEntry) -> Shard:
        return Shard(self._connect(entry.name, entry.url), entry.url, self._limits, self._gate)

    def _gate_width(self, shard_count: int) -> int:
        return self._limits.flushes_at_once or max(1, -(-shard_count // _SHARDS_A_FLUSH))

    def _retire(self, shards: Iterable[Shard]) -> None:
        """Close shards that are no longer used, in the background."""
        for shard in shards:
            task = asyncio.create_task(shard.close(_DRAIN_S_MAX))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _ask(self, shard: Shard) -> _Word | OperatorError | None:
        """The word of one shard; None where it does not answer, an error where what answers is none of ours."""
        try:
            # The first question of all waits as long as any other statement: there is no last word to take it at.
            async with asyncio.timeout(None if self._map is None else _ASK_S_MAX):
                ownership, directory = await asyncio.gather(
                    read_ownership(shard.postgres), read_directory(shard.postgres)
                )
        except asyncpg.UndefinedTableError:
            return OperatorError(f"Shard {shard.name} has no tables yet; run `shardboard migrate`.")
        except OperatorError as error:
            return error
        except (Unavailable, TimeoutError, asyncpg.PostgresError) as error:
            self._complain(f"shard {shard.name}", f"it does not say what it owns: {(error.__cause__ or error)!r}")
            return None
        self._complaints.pop(f"shard {shard.name}", None)
        return _Word(ownership, directory)

    async def _roll_forward(self, answering: set[str]) -> None:
        """Let shards know what they were given. The giver made sure before that they have all of it."""
        unclaimed = self.map.unclaimed
        await asyncio.gather(*(self._claim(name, unclaimed[name]) for name in answering if name in unclaimed))

    async def _claim(self, name: str, epochs: Mapping[int, int]) -> None:
        shard = self.shards.get(name)
        if shard is None:
            return
        try:
            async with asyncio.timeout(_ASK_S_MAX):
                await claim_buckets(shard.postgres, epochs)
        except (ShardboardError, asyncpg.PostgresError, TimeoutError) as error:
            logger.warning("shard %s was not told that it was given %d bucket(s): %r", name, len(epochs), error)
        else:
            logger.info("shard %s was told that it was given %d bucket(s)", name, len(epochs))

    async def _follow(self, rest_s: float, moved: Sequence[tuple[int, str]]) -> None:
        """Come back when another try is worth it.

        Args:
            moved: buckets with the shards that do not own them; where one has another owner by now, that is at once.
        """
        if moved:
            await self.refresh()
            owners = self.map.owners
            if any(owners[bucket] != name for bucket, name in moved):
                return
        await asyncio.sleep(rest_s)

    def _locate_now(self, user_id: int) -> tuple[int, Shard]:
        bucket, name = self.map.owner_of(user_id)
        shard = self.shards.get(name)
        if shard is None:
            raise Unavailable(
                f"The shard of player {user_id} ({name}) is not known here yet; try again with the same submissionId."
            )
        return bucket, shard

    def _locate_all_now(self) -> list[tuple[Shard, Sequence[int]]]:
        located: list[tuple[Shard, Sequence[int]]] = []
        for name, buckets in self.map.owned.items():
            shard = None if name is None else self.shards.get(name)
            if shard is None:
                missing = name or f"one of {', '.join(sorted(self.map.silent))}"
                raise Unavailable(f"A shard with players does not answer ({missing}); try again shortly.")
            located.append((shard, buckets))
        return located

    def _complain(self, subject: str, message: str) -> None:
        """Log a trouble once, not at every refresh."""
        if self._complaints.get(subject) != message:
            self._complaints[subject] = message
            logger.warning("%s: %s", subject, message)


def _has_left(outcome: Outcomes | BaseException) -> bool:
    """Whether the shard that was asked does not, or not now, own the player."""
    return isinstance(outcome, Outcomes) and outcome.outcome in ("moved", "frozen")


def _still_moving(user_id: int) -> Unavailable:
    return Unavailable(f"The data of player {user_id} is being moved; try again with the same submissionId.")
