"""What `shardboard shards status --json` says of a plan that was carried out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from benchmarks.reshard.latencies import Span

Status = dict[str, Any]
"""A move of `shards status --json`."""


@dataclass(frozen=True, slots=True)
class Moved:
    """All moves of the plan together.

    `mb` (of 1,000,000 bytes) is what was planned to move, `seconds_switched` the time from the plan until every bucket
    had its new owner, `seconds` until the sources were cleaned up as well. `pause_ms_max` is the longest time for which
    writes to any bucket had to wait. `unended` counts the moves that are under way still, which have no times.
    """

    moves: int
    buckets: int
    rows: int
    mb: float
    seconds_switched: float
    seconds: float
    pause_ms_max: float
    unended: int

    @property
    def mb_per_second(self) -> float:
        """While there was anything to bring over."""
        return self.mb / self.seconds_switched if self.seconds_switched else 0.0


def sum_up(moves: Sequence[Status]) -> Moved:
    """All moves of a plan."""
    began = min((_at(move, "planned_at") for move in moves), default=0.0)
    return Moved(
        moves=len(moves),
        buckets=sum(move["buckets"] for move in moves),
        rows=sum(move["rows_moved"] or 0 for move in moves),
        mb=sum(move["bytes_planned"] for move in moves) / 1e6,
        seconds_switched=max((_at(move, "switched_at", began) for move in moves), default=began) - began,
        seconds=max((_at(move, "ended_at", began) for move in moves), default=began) - began,
        pause_ms_max=max((move["pause_ms_max"] or 0.0 for move in moves), default=0.0),
        unended=sum(move["ended_at"] is None for move in moves),
    )


def find_spans(moves: Sequence[Status], clock_s: float) -> dict[str, list[Span]]:
    """When the mover did what.

    Args:
        clock_s: by how much the time of day is ahead of `time.monotonic`.
    """

    def spans(begins: str, ends: str) -> list[Span]:
        return [
            (_at(move, begins) - clock_s, _at(move, ends) - clock_s) for move in moves if move[begins] and move[ends]
        ]

    switched = [_at(move, "switched_at") - clock_s for move in moves if move["switched_at"]]
    ended = [_at(move, "ended_at") - clock_s for move in moves if move["ended_at"]]
    return {
        "while rows are copied": spans("copying_at", "following_at"),
        "while buckets are compared and switched": spans("following_at", "switched_at"),
        # The last of all: a source may be needed as long as anything moves.
        "while copies are cleaned up": [(max(switched), max(ended))] if switched and ended else [],
    }


def _at(move: Status, name: str, unset: float = 0.0) -> float:
    """A moment of a move, in seconds since 1970."""
    return datetime.fromisoformat(move[name]).timestamp() if move[name] else unset
