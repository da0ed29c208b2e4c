"""The moves of buckets, as their sources keep them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from db.postgres import Postgres
from domain.errors import OperatorError
from domain.move import Move, Phase, Wish

_COLUMNS = """
    move_id, plan_id, ordinal, source, target, buckets, phase, wish, trouble, keep_copies, rows_planned, bytes_planned,
    rows_moved, pause_ms_max, planned_at, copying_at, following_at, switched_at, ended_at
"""
_READ = f"select {_COLUMNS} from bucket_moves order by planned_at, ordinal"
_INSERT = """
    insert into bucket_moves (
        move_id, plan_id, ordinal, source, target, buckets, phase, wish, keep_copies, rows_planned, bytes_planned,
        planned_at
    )
    values ($1, $2, $3, $4, $5, $6, 'planned', 'run', $7, $8, $9, now())
    on conflict on constraint bucket_moves_pkey do nothing
"""
# The instants are the source's own, like everything else of the record.
# Given again, because its answer got lost, it succeeds again.
_ENTER = """
    with entered as (
        update bucket_moves set
            phase = $3,
            trouble = null,
            copying_at = case when $3 = 'copying' then now() else copying_at end,
            following_at = case when $3 = 'following' then now() else following_at end,
            switched_at = case when $3 = 'switched' then now() else switched_at end,
            ended_at = case when $3 in ('done', 'aborted') then now() else ended_at end
        where move_id = $1 and phase = $2
        returning move_id
    )
    select move_id from entered
    union all
    select move_id from bucket_moves where move_id = $1 and phase = $3
"""
_WISH = "update bucket_moves set wish = $1 where phase not in ('done', 'aborted') and wish <> $1 returning move_id"
_TROUBLE = "update bucket_moves set trouble = $2 where move_id = $1 and trouble is distinct from $2"
_PAUSE = "update bucket_moves set pause_ms_max = greatest(pause_ms_max, $2) where move_id = $1"
_ROWS = "update bucket_moves set rows_moved = greatest(rows_moved, $2) where move_id = $1"
_COUNT_PHASES = "select phase, count(*) from bucket_moves group by phase"
_DROP_COPIES = """
    update bucket_moves set keep_copies = false, wish = 'run'
    where phase = 'switched' and (keep_copies or wish = 'abort')
    returning move_id
"""


async def count_phases(postgres: Postgres) -> dict[Phase, int]:
    """How many moves that begin at this shard are in each phase.

    Raises:
        Unavailable: the shard does not answer.
        OperatorError: the role may not look.
    """
    try:
        counted = {Phase(phase): count for phase, count in await postgres.call(_COUNT_PHASES)}
    except asyncpg.InsufficientPrivilegeError as error:
        raise OperatorError(
            f"The role that serves shard {postgres.name} may not count moves of buckets; run `shardboard migrate`."
        ) from error
    return {phase: counted.get(phase, 0) for phase in Phase}


async def read_moves(postgres: Postgres) -> list[Move]:
    """Every move that begins at this shard, the oldest first.

    Raises:
        Unavailable: the shard does not answer.
    """
    return [
        Move(move_id, plan_id, ordinal, source, target, tuple(buckets), Phase(phase), Wish(wish), *rest)
        for move_id, plan_id, ordinal, source, target, buckets, phase, wish, *rest in await postgres.call(_READ)
    ]


async def add_move(postgres: Postgres, move: Move) -> None:
    """Write down a planned move at its source; once, however often it is called.

    Raises:
        Unavailable: the shard does not answer.
    """
    await postgres.call(
        _INSERT,
        move.move_id,
        move.plan_id,
        move.ordinal,
        move.source,
        move.target,
        move.buckets,
        move.keep_copies,
        move.rows_planned,
        move.bytes_planned,
    )


async def enter_phase(postgres: Postgres, move: Move, phase: Phase) -> bool:
    """Bring a move to its next phase; False where it is in neither that one nor the one it is taken for.

    Raises:
        Unavailable: the shard does not answer.
    """
    return bool(await postgres.call(_ENTER, move.move_id, move.phase, phase))


async def set_wish(postgres: Postgres, wish: Wish) -> Sequence[UUID]:
    """Say what is wanted of every move of this shard that has not ended; gives those for which that is new.

    Raises:
        Unavailable: the shard does not answer.
    """
    return [row[0] for row in await postgres.call(_WISH, wish)]


async def set_trouble(postgres: Postgres, move_id: UUID, trouble: str | None) -> None:
    """Write down what keeps a move from going on.

    Raises:
        Unavailable: the shard does not answer.
    """
    await postgres.call(_TROUBLE, move_id, trouble)


async def note_pause(postgres: Postgres, move_id: UUID, pause_ms: float) -> None:
    """Write down for how long writes had to wait, if it is the longest time so far.

    Raises:
        Unavailable: the shard does not answer.
    """
    await postgres.call(_PAUSE, move_id, pause_ms)


async def note_rows(postgres: Postgres, move_id: UUID, rows: int) -> None:
    """Write down how many rows a move brings over: the most that were ever counted, as switched ones count no more.

    Raises:
        Unavailable: the shard does not answer.
    """
    await postgres.call(_ROWS, move_id, rows)


async def let_copies_go(postgres: Postgres) -> Sequence[UUID]:
    """Say that copies which were kept at this shard may be cleaned up; gives the moves that left them.

    Raises:
        Unavailable: the shard does not answer.
    """
    return [row[0] for row in await postgres.call(_DROP_COPIES)]
