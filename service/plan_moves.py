"""What an operator wants of the shards, as moves: looked up, planned, checked, and written down when asked to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import uuid4

from db.bucket_loads import BucketLoad, read_bucket_loads
from db.move_records import add_move
from domain.errors import OperatorError
from domain.move import ENDED, Move, Phase
from sharding.placement import BUCKET_COUNT
from sharding.reshard.checks import why_not
from sharding.reshard.fleet import Fleet
from sharding.reshard.mover import read_all_moves
from sharding.reshard.plan import Step, loads, plan_drain, plan_move, plan_rebalance
from sharding.shardmap import ShardMap

# What one move copies: a failed one repeats no more than that, and its slot keeps the WAL of no longer than that takes.
_BYTES_A_MOVE = 2_000_000_000
_BUCKETS_A_MOVE_MIN, _BUCKETS_A_MOVE_MAX = 16, 512
# Rows a second from the first copied row to the last switched bucket, where no earlier move tells.
_ROWS_A_SECOND = 25_000.0
_SECONDS_A_MOVE = 2.0


class By(StrEnum):
    """What a rebalance makes equal."""

    BUCKETS = "buckets"
    PLAYERS = "players"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Rebalance:
    """Every shard shall have its part."""

    by: By


@dataclass(frozen=True, slots=True)
class Drain:
    """A shard shall own nothing; the others get its buckets so that `by` is equal among them as far as that goes."""

    shard: str
    by: By = By.BUCKETS


@dataclass(frozen=True, slots=True)
class MoveBuckets:
    """These buckets shall be on that shard."""

    buckets: Sequence[int]
    target: str


@dataclass(frozen=True, slots=True)
class Revert:
    """What the last plan moved shall be where it came from."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done.

    before, after: of each shard what it owns: buckets, players, bytes.
    seconds: about how long it takes.
    """

    moves: list[Move]
    before: dict[str, dict[str, int]]
    after: dict[str, dict[str, int]]
    seconds: float


async def plan_moves(
    fleet: Fleet,
    wanted: Rebalance | Drain | MoveBuckets | Revert,
    *,
    keep_copies: bool = False,
    free_bytes: int | None = None,
) -> Plan:
    """Plan, and see whether it can be carried out; changes nothing.

    Args:
        keep_copies: whether the sources' copies stay until `shards clean-up`.
        free_bytes: space on the disk that all shards share, where it is known.

    Raises:
        OperatorError: it cannot be done, or another plan is under way; says why.
        MapError: the shards do not agree on who owns what.
        Unavailable: a shard does not answer.
    """
    owners, known = await fleet.read_map(), await read_all_moves(fleet)
    _refuse_beside_another(known)
    held = {bucket: load for found in (await fleet.ask(read_bucket_loads)).values() for bucket, load in found.items()}
    shards = list(fleet.direct)
    steps = _steps(wanted, owners, held, shards, known)
    plan_id = uuid4()
    moves = [
        Move(
            uuid4(), plan_id, ordinal, step.source, step.target, step.buckets,
            keep_copies=keep_copies,
            rows_planned=sum(held[bucket].rows for bucket in step.buckets if bucket in held),
            bytes_planned=sum(held[bucket].bytes for bucket in step.buckets if bucket in held),
        )
        for ordinal, step in enumerate(steps)
    ]  # fmt: skip
    reasons = await why_not(fleet, moves, owners, free_bytes)
    if reasons:
        raise OperatorError(" ".join(reasons) + " Nothing was changed.")
    after = list(owners.owners)
    for step in steps:
        for bucket in step.buckets:
            after[bucket] = step.target
    return Plan(
        moves,
        _by_shard([owner or "" for owner in owners.owners], held, shards),
        _by_shard([owner or "" for owner in after], held, shards),
        _seconds(moves, known),
    )


async def write_down(fleet: Fleet, plan: Plan) -> None:
    """Let the plan be carried out by the next mover: each move is written down at its source.

    Raises:
        Unavailable: a shard does not answer; what is written down by then is a plan of its own.
    """
    for move in plan.moves:
        await add_move(fleet.postgres(move.source), move)


def _refuse_beside_another(known: Sequence[Move]) -> None:
    # Copies that are kept are in nobody's way: a move cleans up what it finds of them.
    unended = [move for move in known if move.phase not in ENDED and move.phase is not Phase.SWITCHED]
    if unended:
        raise OperatorError(
            f"A plan is under way: {len(unended)} move(s) have not ended; {unended[0].phase} is that of {unended[0]}. "
            "`shardboard shards resume` finishes it, `shardboard shards abort` takes it back. Nothing was changed."
        )


def _steps(
    wanted: Rebalance | Drain | MoveBuckets | Revert,
    owners: ShardMap,
    held: dict[int, BucketLoad],
    shards: Sequence[str],
    known: Sequence[Move],
) -> list[Step]:
    names = [owner or "" for owner in owners.owners]
    buckets_max = _buckets_a_move(held)
    match wanted:
        case Rebalance(by):
            return plan_rebalance(names, _weights(by, held), shards, buckets_max=buckets_max)
        case Drain(shard, by):
            return plan_drain(names, _weights(by, held), shards, shard, buckets_max=buckets_max)
        case MoveBuckets(buckets, target):
            return plan_move(names, buckets, target, shards, buckets_max=buckets_max)
        case Revert():
            return _steps_back(names, known)


def _steps_back(owners: Sequence[str], known: Sequence[Move]) -> list[Step]:
    if not known:
        raise OperatorError("There is nothing to revert: no shard has a record of a move.")
    last = [move for move in known if move.plan_id == known[-1].plan_id]
    back = [
        Step(move.target, move.source, tuple(bucket for bucket in move.buckets if owners[bucket] == move.target))
        for move in reversed(last)
    ]
    return [step for step in back if step.buckets]


def _buckets_a_move(held: dict[int, BucketLoad]) -> int:
    """As many as make one move large enough to be worth its start, and not larger than can be lost."""
    a_bucket = sum(load.bytes for load in held.values()) / BUCKET_COUNT
    return min(_BUCKETS_A_MOVE_MAX, max(_BUCKETS_A_MOVE_MIN, int(_BYTES_A_MOVE / max(a_bucket, 1.0))))


def _weights(by: By, held: dict[int, BucketLoad]) -> list[int]:
    if by is By.BUCKETS:
        return [1] * BUCKET_COUNT
    found = {bucket: load.players if by is By.PLAYERS else load.bytes for bucket, load in held.items()}
    return [found.get(bucket, 0) for bucket in range(BUCKET_COUNT)]


def _by_shard(owners: Sequence[str], held: dict[int, BucketLoad], shards: Sequence[str]) -> dict[str, dict[str, int]]:
    columns = {by: loads(owners, _weights(by, held), shards) for by in By}
    return {shard: {str(by): column[shard] for by, column in columns.items()} for shard in shards}


def _seconds(moves: Sequence[Move], known: Sequence[Move]) -> float:
    """How long it will take, by how long the earlier moves took."""
    timed = [
        (move.rows_moved, (move.switched_at - move.copying_at).total_seconds())
        for move in known
        if move.rows_moved and move.switched_at and move.copying_at
    ]
    seconds = sum(took for _, took in timed)
    speed = sum(rows for rows, _ in timed) / seconds if seconds > 0 else _ROWS_A_SECOND
    return sum(move.rows_planned for move in moves) / max(speed, 1.0) + _SECONDS_A_MOVE * len(moves)
