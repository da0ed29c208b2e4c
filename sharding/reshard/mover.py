"""Carries moves out, one after the other, from wherever they stand.

All state is in the shards: a mover that is killed anywhere is followed by another, which finds the moves in the phase
that they are in and does that phase again. Every step may be done twice. At the start each handover is carried to its
target, so that nobody ever takes a bucket that was given away for one that nobody owns.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import TypeVar

from db.clean_up import holds_any
from db.move_records import enter_phase, note_pause, note_rows, read_moves, set_trouble
from db.ownership import read_ownership
from db.postgres import Postgres
from db.replication import read_copied
from domain import tracing
from domain.errors import OperatorError, Unavailable
from domain.move import ENDED, NEXT, Move, Phase, Wish
from domain.resilience.backoff import MOVE
from sharding.reshard.compare import describe_differences
from sharding.reshard.fleet import Fleet, FleetLocks
from sharding.reshard.switch import PAUSE_MS_MAX, NotNow, Refused, Switch, Switched
from sharding.reshard.wiring import clean_up, make_way, read_progress, take_way_back

logger = logging.getLogger(__name__)

_POLL_S = 0.1
_PAUSED_POLL_S = 0.5
# A shard that went away is waited for; after so long without any step forward the mover ends and says so.
_PATIENCE_S = 120.0
# A copy that failed so often while one mover watched is not a matter of a shard that was started anew.
_FAILURES_MAX = 5
# A copy of which nothing more has arrived for so long never gets on by itself.
_STILL_S_MAX = 300.0
# How long the target may take to have what the source wrote during the copy.
_CATCH_UP_S = 600.0

# Groups grow and shrink so that a pause stays about here: large enough to be quick, far below what anybody notices.
_PAUSE_MS_AIM = 25.0
_GROUP_FIRST, _GROUP_MAX = 8, 64
# What was compared longer ago is compared again before it is switched.
_COMPARED_S_MAX = 60.0
# So often in a row a group is let go and tried again before a person has to look.
_TRIES_MAX = 200
_RETRY_REST_S, _RETRY_REST_S_MAX = 0.05, 2.0

Answer = TypeVar("Answer")
# Told what goes on: the move, and a line for people.
Report = Callable[[Move, str], None]


class _ToBeAborted(Exception):
    """The operator wants the move to be taken back."""


class Mover:
    """Carries out moves.

    Args:
        fleet: all shards; the caller holds the movers' lock on every one.
        locks: these locks; one that got lost with its shard is taken again.
        report: told each step.
        pause_ms_max: the longest time for which writes to a bucket may wait.
    """

    def __init__(
        self,
        fleet: Fleet,
        locks: FleetLocks,
        report: Report,
        *,
        pause_ms_max: int = PAUSE_MS_MAX,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._fleet = fleet
        self._locks = locks
        self._report = report
        self._pause_ms_max = pause_ms_max
        self._patience_s = patience_s
        self._forward_at = float("-inf")

    async def run(self) -> list[Move]:
        """Carry out every move that any shard has a record of and that has not ended; gives them as they are then.

        Copies are cleaned up last, unless they are to be kept: until then nothing of a move is lost at its source.

        Raises:
            OperatorError: something has to be mended by a person; says what, and the moves stand as they are.
            Unavailable: a shard stayed away for too long.
        """
        await self._surely(self._fleet.read_map)
        moves = await self._surely(self._read_moves)
        unended = [move for move in moves if move.phase not in ENDED]
        for move in unended:
            await self._carry(move, until=Phase.SWITCHED)
        for move in await self._surely(self._read_moves):
            if move.phase is Phase.SWITCHED and not move.keep_copies and move.wish is not Wish.ABORT:
                await self._carry(move, until=Phase.DONE)
        ran = {move.move_id for move in unended}
        return [move for move in await self._surely(self._read_moves) if move.move_id in ran]

    async def _read_moves(self) -> list[Move]:
        return await read_all_moves(self._fleet)

    async def _carry(self, move: Move, until: Phase) -> None:
        """Bring one move from phase to phase."""
        while move.phase not in ENDED and move.phase is not until:
            try:
                await self._obey(move)
                move = await self._surely(lambda move=move: self._step(move), move)  # type: ignore[misc]
            except _ToBeAborted:
                move = await self._surely(lambda move=move: self._begin_abort(move), move)  # type: ignore[misc]
            except OperatorError as error:
                await self._note_trouble(move, str(error))
                raise

    async def _step(self, move: Move) -> Move:
        source, target = self._ends(move)
        match move.phase:
            case Phase.PLANNED:
                await self._make_room(move)
                # The record comes first: whatever is made from here on is found by whoever comes next.
                return await self._enter(move, Phase.COPYING, "copying")
            case Phase.COPYING:
                await make_way(move, source, target, self._fleet.direct_url(move.source))
                await self._until_copied(move)
                return await self._enter(move, Phase.FOLLOWING, "the copy is whole and follows")
            case Phase.FOLLOWING:
                await self._switch(move)
                await take_way_back(move, source, target, self._fleet.direct)
                return await self._enter(move, Phase.SWITCHED, f"{move.target} owns all of it")
            case Phase.SWITCHED:
                rows = await self._clean_up(move.source, move.buckets)
                return await self._enter(move, Phase.DONE, f"cleaned up {rows:,} rows at {move.source}")
            case Phase.ABORTING:
                await take_way_back(move, source, target, self._fleet.direct)
                rows = await self._clean_up(move.target, move.buckets, half_copied=True)
                rows += await self._clean_up(move.source, move.buckets)
                return await self._enter(move, Phase.ABORTED, f"taken back; cleaned up {rows:,} rows")
            case Phase.DONE | Phase.ABORTED:
                return move

    async def _begin_abort(self, move: Move) -> Move:
        if move.phase is Phase.PLANNED:
            return await self._enter(move, Phase.ABORTED, "was not begun")
        return await self._enter(move, Phase.ABORTING, "taking it back")

    async def _make_room(self, move: Move) -> None:
        """Clean up what earlier moves left at the target of this one's buckets: a copy needs an empty place."""
        target = self._fleet.postgres(move.target)
        if await holds_any(target, move.buckets):
            gave = {each.bucket for each in (await read_ownership(target)).handed_over}
            self._report(move, f"cleaning up what an earlier move left at {move.target}")
            await self._clean_up(move.target, gave & set(move.buckets))
            if await holds_any(target, move.buckets):
                raise OperatorError(
                    f"Shard {move.target} holds rows of the buckets that are to come, and no move left them there. "
                    "See `shardboard shards verify`, take them out, then `shardboard shards resume`."
                )

    async def _until_copied(self, move: Move) -> None:
        source, target = self._ends(move)
        failures_before: int | None = None
        seen: tuple[int, int, int] | None = None
        told_at = moved_at = time.monotonic()
        while not (progress := await read_progress(move, source, target)).follows:
            await self._obey(move, at_rest=False)
            copied = (progress.tables_in_step, *await read_copied(target))
            if copied != seen:
                seen, moved_at = copied, time.monotonic()
            failures_before = progress.failures if failures_before is None else failures_before
            failures = progress.failures - failures_before
            still_s = time.monotonic() - moved_at
            if failures >= _FAILURES_MAX or still_s > _STILL_S_MAX:
                raise OperatorError(
                    f"The copy of {move} does not get on (failed {failures} times, still for {still_s:.0f} s); the log "
                    f"of {move.target}'s PostgreSQL says why. Mend it and `shardboard shards resume`, or take it back "
                    "with `shardboard shards abort`."
                )
            if time.monotonic() >= told_at + 1.0:
                told_at = time.monotonic()
                tables, rows, size = copied
                self._report(
                    move,
                    f"copying: {tables} of {progress.tables} tables in step, "
                    f"{rows:,} rows ({size / 1e6:,.1f} MB) of the others",
                )
            await asyncio.sleep(_POLL_S)

    async def _switch(self, move: Move) -> None:
        source, target = self._ends(move)
        rest = await self._still_owned(source, move.buckets)
        if not rest:
            # Switched by a mover before this one, which may have begun to take the way back.
            return
        # A target that crashed may have to copy a table again, or never follow again.
        await self._until_copied(move)
        switch = Switch(move, source, target, pause_ms_max=self._pause_ms_max)
        size, tries, pause_ms_max, compare_at = _GROUP_FIRST, 0, 0.0, float("-inf")
        while rest:
            if await self._obey(move) or time.monotonic() > compare_at:
                # Again after a rest: who knows what was done to the copy meanwhile.
                self._report(move, "comparing all rows")
                await switch.compare_all(rest, wait_s_max=_CATCH_UP_S)
                await note_rows(source, move.move_id, switch.rows)
                compare_at = time.monotonic() + _COMPARED_S_MAX
            group = rest[:size]
            attributes: tracing.Attributes = {
                "shardboard.source": move.source,
                "shardboard.target": move.target,
                "shardboard.buckets": len(group),
            }
            with tracing.step("switch buckets", attributes) as step:
                verdict = await switch.attempt(group, rest)
                step.set("shardboard.verdict", type(verdict).__name__)
            pause_ms_max = max(pause_ms_max, getattr(verdict, "pause_ms", 0.0))
            await note_pause(source, move.move_id, pause_ms_max)
            match verdict:
                case Switched(pause_ms):
                    self._forward_at = time.monotonic()
                    rest, tries = rest[len(group) :], 0
                    size = _next_size(size, pause_ms)
                    done = len(move.buckets) - len(rest)
                    self._report(move, f"switched {done} of {len(move.buckets)} buckets; paused {pause_ms:.0f} ms")
                case NotNow(reason):
                    tries, size = tries + 1, max(1, size // 2)
                    self._report(move, f"not switched yet: {reason}")
                    if tries >= _TRIES_MAX:
                        raise OperatorError(
                            f"The move of {move} cannot be switched: {reason}. {move.source} owns what is left of it. "
                            "`shardboard shards resume` tries again, `shardboard shards abort` takes it back."
                        )
                    await asyncio.sleep(min(_RETRY_REST_S * tries, _RETRY_REST_S_MAX))
                case Refused(differences):
                    raise OperatorError(
                        f"The move of {move} is refused: source and target do not hold the same. "
                        f"{describe_differences(differences)}. {move.source} stays the owner; "
                        "`shardboard shards abort` takes the copy back."
                    )

    async def _clean_up(self, at: str, buckets: Collection[int], *, half_copied: bool = False) -> int:
        """Delete at one shard what another one is known to own; what is not known to be another's stays."""
        owners = (await self._fleet.read_map()).owners
        strangers = [bucket for bucket in buckets if owners[bucket] not in (at, None)]
        return await clean_up(self._fleet.postgres(at), strangers, half_copied=half_copied)

    async def _still_owned(self, source: Postgres, buckets: Sequence[int]) -> list[int]:
        owned = {each.bucket for each in (await read_ownership(source)).owned}
        return [bucket for bucket in buckets if bucket in owned]

    async def _enter(self, move: Move, phase: Phase, told: str) -> Move:
        if phase not in NEXT[move.phase]:
            raise ValueError(f"no way leads from {move.phase} to {phase}")
        if not await enter_phase(self._fleet.postgres(move.source), move, phase):
            raise OperatorError(f"The move of {move} is no longer {move.phase}: somebody else works on it.")
        self._forward_at = time.monotonic()
        self._report(replace(move, phase=phase), told)
        return replace(move, phase=phase, trouble=None)

    async def _obey(self, move: Move, *, at_rest: bool = True) -> bool:
        """Look whether the lock is still held, and what the operator wants of the move; says whether it rested.

        Args:
            at_rest: whether nothing is under way, so that the move may be left alone as long as it is paused.
        """
        told = False
        while True:
            await self._surely(self._locks.require, move)
            wish = await self._surely(lambda: self._read_wish(move), move)
            if wish is Wish.ABORT and move.phase in (Phase.PLANNED, Phase.COPYING, Phase.FOLLOWING):
                raise _ToBeAborted
            if wish is not Wish.PAUSE or not at_rest:
                return told
            if not told:
                self._report(move, "paused; `shardboard shards resume` goes on")
                told = True
            await asyncio.sleep(_PAUSED_POLL_S)

    async def _read_wish(self, move: Move) -> Wish:
        moves = await read_moves(self._fleet.postgres(move.source))
        return next((each.wish for each in moves if each.move_id == move.move_id), Wish.RUN)

    async def _note_trouble(self, move: Move, trouble: str) -> None:
        try:
            await set_trouble(self._fleet.postgres(move.source), move.move_id, trouble)
        except Unavailable:
            logger.warning("the trouble of a move could not be written down: %s", trouble)

    async def _surely(self, step: Callable[[], Awaitable[Answer]], move: Move | None = None) -> Answer:
        """Do a step again while a shard is away; each may be done twice."""
        failing_since: float | None = None
        rests = MOVE.rests()
        while True:
            try:
                return await step()
            except Unavailable as error:
                # A long step that came forward meanwhile, such as a switch of many groups, has all its patience again.
                failing_since = max(failing_since or time.monotonic(), self._forward_at)
                if time.monotonic() > failing_since + self._patience_s:
                    raise
                if move is not None:
                    self._report(move, f"waiting: {error}")
            await asyncio.sleep(next(rests))

    def _ends(self, move: Move) -> tuple[Postgres, Postgres]:
        return self._fleet.postgres(move.source), self._fleet.postgres(move.target)


async def read_all_moves(fleet: Fleet) -> list[Move]:
    """The moves of all shards in the order in which they were planned.

    Raises:
        Unavailable: a shard does not answer.
    """
    return sorted((move for moves in (await fleet.ask(read_moves)).values() for move in moves), key=_in_order)


def _in_order(move: Move) -> tuple[object, int]:
    return (move.planned_at, move.ordinal)


def _next_size(size: int, pause_ms: float) -> int:
    """How many buckets to switch at once after a pause of that length."""
    if size < _GROUP_FIRST:
        # Most of a pause is the same for any group: such small ones only make more of them.
        return 2 * size if pause_ms < 2 * _PAUSE_MS_AIM else size
    if pause_ms > _PAUSE_MS_AIM:
        return max(_GROUP_FIRST, size // 2)
    return min(2 * size, _GROUP_MAX) if pause_ms < _PAUSE_MS_AIM / 2 else size
