"""What may be wrong with all shards together: who owns what, and what moves have left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from db.ownership import Ownership
from domain.errors import MapError
from domain.move import ENDED, WIRED, Move, Phase
from service.doctor.finding import Finding, Severity
from sharding.shardmap import build_map

_STANDS_S = 3600.0


def judge_map(words: Mapping[str, Ownership | None]) -> list[Finding]:
    """Holes, and buckets with two owners; None for a shard that did not answer."""
    try:
        found = build_map(words)
    except MapError as error:
        return [
            Finding(
                Severity.ERROR, "map", "map", f"{error}",
                "`shardboard shards list` and `shards status` show what the shards say; a restore of all shards to one "
                "backup makes one map again.",
            )
        ]  # fmt: skip
    unclaimed = sum(len(epochs) for epochs in found.unclaimed.values())
    if not unclaimed:
        return []
    return [
        Finding(
            Severity.NOTE, "map", "handover",
            f"{unclaimed} bucket(s) were handed over to a shard that does not know of it yet.",
            "Nothing: any API process tells it within two seconds, or `shardboard shards resume`.",
        )
    ]  # fmt: skip


def judge_moves(moves: Sequence[Move], traces: Mapping[str, Sequence[str]], holder: str | None) -> list[Finding]:
    """Moves that stand still, and what ended ones left behind.

    Args:
        moves: those of all shards.
        traces: publications, slots, subscriptions and markers by shard, as `list_traces` names them.
        holder: who is at work on buckets now.
    """
    found = []
    now = datetime.now(UTC)
    for move in moves:
        if move.trouble:
            found.append(
                Finding(
                    Severity.ERROR, move.source, "move", f"The move of {move} stands still: {move.trouble}",
                    "Mend that, then `shardboard shards resume`, or `shardboard shards abort`.",
                )
            )  # fmt: skip
        elif move.phase not in ENDED and move.phase is not Phase.SWITCHED and holder is None:
            since = f", planned {move.planned_at:%Y-%m-%d %H:%M} UTC" if move.planned_at else ""
            waits = move.planned_at is None or (now - move.planned_at).total_seconds() > _STANDS_S
            found.append(
                Finding(
                    Severity.WARNING if waits else Severity.NOTE, move.source, "move",
                    f"The move of {move}{since}, is {move.phase} and nobody carries it out; its slot keeps WAL.",
                    "`shardboard shards resume`, or `shardboard shards abort`.",
                )
            )  # fmt: skip
    for shard, names in traces.items():
        wired = {move.name for move in moves if move.phase in WIRED and shard in (move.source, move.target)}
        for trace in names:
            if not any(name in trace for name in wired) and not (wired and "_sync_" in trace):
                kind, _, name = trace.partition(" ")
                found.append(
                    Finding(
                        Severity.WARNING, shard, "left_behind", f"The {trace} is left of a move that has ended.",
                        _TAKE_AWAY[kind].format(name=name),
                    )
                )  # fmt: skip
    return found


_TAKE_AWAY = {
    "publication": "`drop publication {name};`",
    "slot": "`select pg_drop_replication_slot('{name}');`",
    "subscription": (
        "`alter subscription {name} disable; alter subscription {name} set (slot_name = none); "
        "drop subscription {name};`, and the slot of its name at the source."
    ),
    "marker": "`delete from move_markers;` while no move is under way.",
}
