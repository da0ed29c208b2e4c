"""Compare all shards: every player on exactly one and the right one, totals equal to sessions, nothing left behind."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from db.clean_up import list_strangers
from db.ownership import Ownership, read_ownership
from db.replication import list_traces
from db.verify import Looked, look_through
from domain.move import WIRED, Move, Phase
from sharding.reshard.fleet import Fleet
from sharding.reshard.mover import read_all_moves


@dataclass(frozen=True, slots=True)
class ShardFault:
    """Something on a shard that cannot be right; `player` where it is about one."""

    shard: str
    player: int | None
    what: str


@dataclass(frozen=True, slots=True)
class VerifiedShards:
    """What there is on all shards together.

    copies: rows that are not their shard's own and have a reason to be there: a move under way, or one whose source was
        not cleaned up yet.
    """

    players: int
    sessions: int
    copies: int
    faults: list[ShardFault]


async def verify_shards(fleet: Fleet) -> VerifiedShards:
    """Look at every row of every shard, while writes and moves go on.

    Raises:
        MapError: the shards do not agree on who owns what.
        Unavailable: a shard does not answer.
    """
    await fleet.read_map()
    looked, strangers, owned, traces, moves = await asyncio.gather(
        fleet.ask(look_through),
        fleet.ask(list_strangers),
        fleet.ask(read_ownership),
        fleet.ask(list_traces),
        read_all_moves(fleet),
    )
    faults: list[ShardFault] = []
    copies = 0
    for name in fleet.direct:
        faults += [ShardFault(name, fault.user_id, fault.what) for fault in looked[name].faults]
        expected = _expected_copies(name, moves)
        for bucket, rows in strangers[name].items():
            if bucket in expected:
                copies += rows
            else:
                faults.append(ShardFault(name, None, _leftover(name, bucket, rows, owned)))
        wired = {move.name for move in moves if move.phase in WIRED and name in (move.source, move.target)}
        faults += [
            ShardFault(name, None, f"{trace} is left of a move that has ended")
            for trace in traces[name]
            if not _belongs(trace, wired)
        ]
    total: list[Looked] = list(looked.values())
    return VerifiedShards(sum(each.players for each in total), sum(each.sessions for each in total), copies, faults)


def _expected_copies(name: str, moves: list[Move]) -> set[int]:
    """Buckets of which a shard may hold rows though they are not its own."""
    arriving = {b for move in moves if move.target == name and move.phase in WIRED for b in move.buckets}
    left = {
        b for move in moves if move.source == name and (move.phase in WIRED or move.phase is Phase.SWITCHED)
        for b in move.buckets
    }  # fmt: skip
    return arriving | left


def _leftover(name: str, bucket: int, rows: int, owned: dict[str, Ownership]) -> str:
    gave = next((each.target for each in owned[name].handed_over if each.bucket == bucket), None)
    whose = f"that it gave to {gave}" if gave else "that it never owned"
    return f"{rows} row(s) of bucket {bucket}, {whose}; `shardboard shards clean-up` takes away what moves left"


def _belongs(trace: str, wired: set[str]) -> bool:
    """Whether a publication, slot, subscription or marker is one of a move under way; copying slots belong to any."""
    return any(name in trace for name in wired) or (bool(wired) and "_sync_" in trace)
