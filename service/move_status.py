"""How far the last plan is, and what keeps it: read from the shards, whoever carries it out and wherever."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from db.mover_lock import find_holder
from db.ownership import Ownership, read_ownership
from db.replication import Slot, read_copied, read_slots
from domain.move import ENDED, WIRED, Move, Phase
from sharding.reshard.fleet import Fleet
from sharding.reshard.mover import read_all_moves


@dataclass(frozen=True, slots=True)
class MoveStatus:
    """One move.

    switched: how many of its buckets the target owns.
    lag_bytes: WAL of the source that the target has not confirmed; None where nothing follows.
    copied_rows: rows that a copy under way has brought to the target so far.
    """

    move: Move
    switched: int
    lag_bytes: int | None
    copied_rows: int | None


@dataclass(frozen=True, slots=True)
class PlanStatus:
    """The last plan, or all moves that have not ended.

    mover: who carries it out now; None where nobody does.
    seconds_left: about how long until all is switched, by how long the plan's earlier moves took.
    """

    moves: list[MoveStatus]
    mover: str | None
    seconds_left: float | None


async def read_plan_status(fleet: Fleet) -> PlanStatus:
    """Ask the shards.

    Raises:
        Unavailable: a shard does not answer.
    """
    known, ownerships, slots, holders = await asyncio.gather(
        read_all_moves(fleet), fleet.ask(read_ownership), fleet.ask(read_slots), fleet.ask(find_holder)
    )
    last = known[-1].plan_id if known else None
    shown = [move for move in known if move.plan_id == last or move.phase not in ENDED]
    moves = [await _status_of(fleet, move, ownerships[move.source], slots[move.source]) for move in shown]
    return PlanStatus(moves, next((holder for holder in holders.values() if holder), None), _seconds_left(shown))


async def _status_of(fleet: Fleet, move: Move, ownership: Ownership, slots: list[Slot]) -> MoveStatus:
    owned = {each.bucket for each in ownership.owned}
    begun = move.phase not in (Phase.PLANNED, Phase.COPYING)
    switched = sum(bucket not in owned for bucket in move.buckets) if begun else 0
    slot = next((slot for slot in slots if slot.name == move.name), None)
    copied = None
    if move.phase is Phase.COPYING:
        copied, _ = await read_copied(fleet.postgres(move.target))
    return MoveStatus(move, switched, slot.lag_bytes if slot and move.phase in WIRED else None, copied)


def _seconds_left(moves: list[Move]) -> float | None:
    timed = [
        (move.rows_moved or 0, (move.switched_at - move.copying_at).total_seconds())
        for move in moves
        if move.switched_at and move.copying_at
    ]
    waiting = [move for move in moves if move.switched_at is None and move.phase not in ENDED]
    took = sum(seconds for _, seconds in timed)
    if not waiting or not took:
        return None if waiting else 0.0
    a_row = took / max(sum(rows for rows, _ in timed), 1)
    spent = sum((datetime.now(UTC) - move.copying_at).total_seconds() for move in waiting if move.copying_at)
    return max(sum(a_row * move.rows_planned for move in waiting) - spent, 0.0)
