"""Tell moves what is wanted of them, whoever carries them out: a mover looks before every step."""

from __future__ import annotations

from functools import partial

from db.move_records import let_copies_go, set_wish
from domain.errors import OperatorError
from domain.move import ENDED, Move, Phase, Wish
from sharding.reshard.fleet import Fleet
from sharding.reshard.mover import read_all_moves


async def steer_moves(fleet: Fleet, wish: Wish) -> list[Move]:
    """Say what is wanted of every move that has not ended; gives these moves.

    Raises:
        OperatorError: there is none.
        Unavailable: a shard does not answer; the others were told.
    """
    unended = [move for move in await read_all_moves(fleet) if move.phase not in ENDED]
    if not unended:
        raise OperatorError("No move is under way; `shardboard shards rebalance` plans some.")
    if wish is Wish.ABORT and all(move.phase is Phase.SWITCHED for move in unended):
        raise OperatorError(
            "Every bucket of the plan has been switched: there is nothing to abort. `shardboard shards revert` moves "
            "them back, `shardboard shards clean-up` takes the copies away."
        )
    await fleet.ask(partial(set_wish, wish=wish))
    return unended


async def release_copies(fleet: Fleet) -> int:
    """Let the next mover clean up copies that were kept; says how many moves left some.

    Raises:
        Unavailable: a shard does not answer; the others were told.
    """
    return sum(len(moves) for moves in (await fleet.ask(let_copies_go)).values())
