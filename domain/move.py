"""A move: buckets on their way from one shard to another, and the states that it goes through.

The drawing in docs/runbooks/reshard.md is made of `NEXT`; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Phase(StrEnum):
    """Where a move stands.

    planned: nothing but a record.
    copying: Postgres copies the buckets' rows to the target; nobody notices.
    following: the copy is whole and follows each change; buckets are compared and switched, a group at a time.
    switched: the target owns every bucket; the source holds copies that nobody reads.
    done: the source is cleaned up.
    aborting: what is on the target, and the ways there, are being taken back.
    aborted: as if it had never begun, but for buckets that were switched before: these stay where they are.
    """

    PLANNED = "planned"
    COPYING = "copying"
    FOLLOWING = "following"
    SWITCHED = "switched"
    DONE = "done"
    ABORTING = "aborting"
    ABORTED = "aborted"


NEXT: Mapping[Phase, frozenset[Phase]] = {
    Phase.PLANNED: frozenset({Phase.COPYING, Phase.ABORTED}),
    Phase.COPYING: frozenset({Phase.FOLLOWING, Phase.ABORTING}),
    Phase.FOLLOWING: frozenset({Phase.SWITCHED, Phase.ABORTING}),
    Phase.SWITCHED: frozenset({Phase.DONE}),
    Phase.DONE: frozenset(),
    Phase.ABORTING: frozenset({Phase.ABORTED}),
    Phase.ABORTED: frozenset(),
}

ENDED = frozenset({Phase.DONE, Phase.ABORTED})
# Phases in which a move has a slot, publications and a subscription.
WIRED = frozenset({Phase.COPYING, Phase.FOLLOWING, Phase.ABORTING})


class Wish(StrEnum):
    """What an operator wants of a move: kept beside it, so that it reaches whoever carries the move out."""

    RUN = "run"
    PAUSE = "pause"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class Move:
    """One move, as its source keeps it.

    plan_id, ordinal: the plan that it is part of, and its place there.
    trouble: what keeps it from going on, in words for operators; None when nothing does.
    keep_copies: whether the source's copies stay until `shards clean-up`.
    rows_planned, bytes_planned: sessions, standings and players, and their size, estimated when it was planned.
    rows_moved: the same, counted when it was switched.
    pause_ms_max: the longest time for which writes to one of its buckets had to wait.
    """

    move_id: UUID
    plan_id: UUID
    ordinal: int
    source: str
    target: str
    buckets: tuple[int, ...]
    phase: Phase = Phase.PLANNED
    wish: Wish = Wish.RUN
    trouble: str | None = None
    keep_copies: bool = False
    rows_planned: int = 0
    bytes_planned: int = 0
    rows_moved: int | None = None
    pause_ms_max: float | None = None
    planned_at: datetime | None = None
    copying_at: datetime | None = None
    following_at: datetime | None = None
    switched_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def name(self) -> str:
        """What its slot and subscription are called, and its publications begin with."""
        return f"shardboard_move_{self.move_id.hex}"

    def __str__(self) -> str:
        return f"{len(self.buckets)} bucket(s) from {self.source} to {self.target}"
