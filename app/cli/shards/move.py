"""`shardboard shards rebalance`, `drain`, `move` and all that steers them: buckets move while the game is on."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import click

from app.cli.find_settings import data_option, find_settings
from app.cli.fleet import free_bytes, open_fleet
from app.cli.output import megabytes, print_table, say
from app.settings import Settings
from app.traces.run import traced
from domain.move import ENDED, Move, Phase, Wish
from service.move_status import MoveStatus, read_plan_status
from service.plan_moves import By, Drain, MoveBuckets, Plan, Rebalance, Revert, plan_moves, write_down
from service.steer_moves import release_copies, steer_moves
from sharding.reshard.fleet import Fleet, FleetLocks, locked_fleet
from sharding.reshard.mover import Mover
from sharding.reshard.plan import parse_buckets
from sharding.reshard.switch import PAUSE_MS_MAX

# Of lines that follow each other quickly one is shown so often.
_LINE_INTERVAL_S = 1.0

Wanted = Rebalance | Drain | MoveBuckets | Revert
_Command = Callable[..., Any]

_by_option = click.option(
    "--by", type=click.Choice([str(by) for by in By]), default=str(By.BUCKETS), show_default=True,
    help="What every shard shall have the same of.",
)  # fmt: skip
_pause_option = click.option(
    "--pause-ms-max", type=click.IntRange(20, 2_000), default=PAUSE_MS_MAX, show_default=True,
    help="For how long writes to a bucket may wait; what is not switched by then is let go and tried again.",
)  # fmt: skip


def _planning(command: _Command) -> _Command:
    """The options that all commands have in common that plan moves and carry them out."""
    options = [
        click.option("--dry-run", is_flag=True, help="Only show the plan."),
        click.option("--keep-copies", is_flag=True, help="Keep the sources' copies until `shards clean-up`."),
        _pause_option,
        data_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@_by_option
@_planning
def rebalance(by: str, **options: Any) -> None:
    """Move buckets until every shard has its part; shows the plan, then carries it out.

    Players go on playing: writes to a bucket wait some milliseconds while it changes its owner. May be stopped at any
    time, also with kill -9: `shards resume` goes on where it ended, `shards abort` takes it back.
    """
    _plan_and_run(Rebalance(By(by)), **options)


@click.command()
@click.argument("name")
@_by_option
@_planning
def drain(name: str, by: str, **options: Any) -> None:
    """Move everything that shard NAME owns to the others."""
    _plan_and_run(Drain(name, By(by)), **options)


@click.command()
@click.argument("buckets")
@click.option("--to", "target", required=True, help="The shard that gets them.")
@_planning
def move(buckets: str, target: str, **options: Any) -> None:
    """Move BUCKETS, such as 0-15,77, to a shard, wherever they are now."""
    _plan_and_run(MoveBuckets(parse_buckets(buckets), target), **options)


@click.command()
@_planning
def revert(**options: Any) -> None:
    """Move the buckets of the last plan back to where they came from, with all that was written since."""
    _plan_and_run(Revert(), **options)


@click.command()
@data_option
def pause(data: Path | None) -> None:
    """Let the moves under way rest after the step that they are at; nothing is lost, and no bucket stays frozen."""
    moves = asyncio.run(_steer(find_settings(data), Wish.PAUSE))
    click.echo(f"{len(moves)} move(s) are to rest; `shardboard shards resume` goes on")


@click.command()
@_pause_option
@data_option
def resume(pause_ms_max: int, data: Path | None) -> None:
    """Go on with moves that were paused, or whose mover was stopped or killed."""
    _run_traced(_steer_and_run(find_settings(data), Wish.RUN, pause_ms_max))


@click.command()
@_pause_option
@data_option
def abort(pause_ms_max: int, data: Path | None) -> None:
    """Take moves back that are not switched: every trace of them goes from their targets.

    Buckets that were switched before stay where they are; `shards revert` moves them back.
    """
    _run_traced(_steer_and_run(find_settings(data), Wish.ABORT, pause_ms_max))


@click.command("clean-up")
@data_option
def clean_up(data: Path | None) -> None:
    """Delete the copies that moves kept at their sources."""
    _run_traced(_clean_up(find_settings(data)))


def _plan_and_run(wanted: Wanted, *, dry_run: bool, keep_copies: bool, pause_ms_max: int, data: Path | None) -> None:
    _run_traced(_carry_out_plan(find_settings(data), wanted, dry_run, keep_copies, pause_ms_max, free_bytes(data)))


async def _carry_out_plan(
    settings: Settings, wanted: Wanted, dry_run: bool, keep_copies: bool, pause_ms_max: int, free: int | None
) -> None:
    async with open_fleet(settings) as fleet:
        if dry_run:
            _show(await plan_moves(fleet, wanted, keep_copies=keep_copies, free_bytes=free))
            return
        # Planned and written down under the lock: of two who plan at once, one is told of the other.
        async with locked_fleet(fleet, "moving") as locks:
            plan = await plan_moves(fleet, wanted, keep_copies=keep_copies, free_bytes=free)
            _show(plan)
            await write_down(fleet, plan)
            if plan.moves:
                await _run(fleet, locks, pause_ms_max)


async def _steer(settings: Settings, wish: Wish) -> list[Move]:
    async with open_fleet(settings) as fleet:
        return await steer_moves(fleet, wish)


def _run_traced(work: Coroutine[Any, Any, None]) -> None:
    with traced():
        asyncio.run(work)


async def _steer_and_run(settings: Settings, wish: Wish, pause_ms_max: int) -> None:
    async with open_fleet(settings) as fleet:
        moves = await steer_moves(fleet, wish)
        mover = (await read_plan_status(fleet)).mover
        if mover is not None:
            doing = "takes them back" if wish is Wish.ABORT else "goes on"
            click.echo(f"{len(moves)} move(s) were told; {mover} {doing}")
            return
        async with locked_fleet(fleet, "moving") as locks:
            await _run(fleet, locks, pause_ms_max)


async def _clean_up(settings: Settings) -> None:
    async with open_fleet(settings) as fleet:
        if not await release_copies(fleet):
            click.echo("no move has kept copies")
            return
        async with locked_fleet(fleet, "moving") as locks:
            await _run(fleet, locks, PAUSE_MS_MAX)


async def _run(fleet: Fleet, locks: FleetLocks, pause_ms_max: int) -> None:
    lines = _Lines((await read_plan_status(fleet)).moves)
    try:
        moves = await Mover(fleet, locks, lines, pause_ms_max=pause_ms_max).run()
    except asyncio.CancelledError:
        say("stopped where it was; no bucket stays frozen")
        say("`shardboard shards resume` goes on, `shardboard shards abort` takes it back")
        sys.exit(130)
    _tell_end(moves)


def _tell_end(moves: Sequence[Move]) -> None:
    switched = [move for move in moves if move.phase in (Phase.DONE, Phase.SWITCHED)]
    aborted = [move for move in moves if move.phase is Phase.ABORTED]
    if switched:
        buckets, rows = sum(len(move.buckets) for move in switched), sum(move.rows_moved or 0 for move in switched)
        pause_ms = max((move.pause_ms_max or 0.0 for move in switched), default=0.0)
        click.echo(f"{buckets:,} buckets with {rows:,} rows were moved; the longest pause of one was {pause_ms:.0f} ms")
    if any(move.phase is Phase.SWITCHED for move in switched):
        click.echo("the sources keep their copies; `shardboard shards clean-up` deletes them")
    if aborted:
        click.echo(f"{len(aborted)} move(s) were taken back")


def _show(plan: Plan) -> None:
    if not plan.moves:
        click.echo("there is nothing to move")
        return
    rows = [
        (
            f"{move.ordinal + 1}: {move.source} → {move.target}",
            len(move.buckets),
            move.rows_planned,
            megabytes(move.bytes_planned),
        )
        for move in plan.moves
    ]
    print_table(["move", "buckets", "rows (est.)", "size (est.)"], rows)
    click.echo("")
    print_table(
        ["shard", "buckets now", "then", "players now", "then", "size now", "then"],
        [
            (
                name, now[By.BUCKETS], then[By.BUCKETS], now[By.PLAYERS], then[By.PLAYERS],
                megabytes(now[By.BYTES]), megabytes(then[By.BYTES]),
            )
            for (name, now), then in zip(plan.before.items(), plan.after.values(), strict=True)
        ],
    )  # fmt: skip
    click.echo(f"\n{len(plan.moves)} move(s), about {plan.seconds:.0f} s\n")


class _Lines:
    """What goes on, a line a step: which move, how long since the start, and about how long it will take yet.

    Of many lines of one kind, such as a group switched, one a second is shown.
    """

    def __init__(self, moves: Sequence[MoveStatus]) -> None:
        self._moves = {each.move.move_id: each.move for each in moves if each.move.phase not in ENDED}
        self._began_at = time.monotonic()
        self._last_kind = ""
        self._last_at = float("-inf")

    def __call__(self, move: Move, told: str) -> None:
        entered = self._moves.get(move.move_id, move).phase is not move.phase
        self._moves[move.move_id] = move
        now = time.monotonic()
        kind = f"{move.move_id} {told.split(' ')[0]}"
        if not entered and kind == self._last_kind and now < self._last_at + _LINE_INTERVAL_S:
            return
        self._last_kind, self._last_at = kind, now
        line = f"{move.ordinal + 1}: {move.source} → {move.target}, {len(move.buckets)} buckets: {told}"
        say(f"[{now - self._began_at:7.1f} s] {line}{self._left() if entered else ''}")

    def _left(self) -> str:
        total = sum(move.rows_planned for move in self._moves.values())
        done = sum(m.rows_planned for m in self._moves.values() if m.phase in (Phase.SWITCHED, *ENDED))
        if not done or done == total:
            return ""
        return f" (about {(time.monotonic() - self._began_at) / done * (total - done):.0f} s left)"
