"""`shardboard shards status`: how far the moves are."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from app.cli.find_settings import data_option, find_settings
from app.cli.fleet import open_fleet
from app.cli.output import json_option, megabytes, print_json, print_table
from app.settings import Settings
from domain.move import ENDED, Phase
from service.move_status import MoveStatus, PlanStatus, read_plan_status

_HEADINGS = ["move", "phase", "wanted", "buckets", "switched", "rows", "copied", "lag", "pause ms"]


@click.command()
@data_option
@json_option
def status(data: Path | None, as_json: bool) -> None:
    """The last plan, and every move that has not ended, as the shards know them; wherever the mover runs.

    `rows` is what a move brings over (an estimate until it has been compared), `copied` what a copy under way has done
    of it, `lag` what the target has not confirmed, `pause ms` the longest time for which writes to a bucket waited.
    """
    read = asyncio.run(_read(find_settings(data)))
    if as_json:
        print_json(
            {
                "mover": read.mover,
                "seconds_left": None if read.seconds_left is None else round(read.seconds_left, 1),
                "moves": [_as_json(each) for each in read.moves],
            }
        )
        return
    if not read.moves:
        click.echo("no buckets were ever moved")
        return
    print_table(_HEADINGS, [_as_row(each) for each in read.moves])
    for each in read.moves:
        if each.move.trouble and each.move.phase not in ENDED:
            click.echo(f"{_name(each)} waits: {each.move.trouble}")
    click.echo(_summary(read))


async def _read(settings: Settings) -> PlanStatus:
    async with open_fleet(settings) as fleet:
        return await read_plan_status(fleet)


def _summary(read: PlanStatus) -> str:
    waiting = [each for each in read.moves if each.move.phase not in ENDED]
    if not waiting:
        return "all moves have ended"
    if all(each.move.phase is Phase.SWITCHED for each in waiting):
        left = "everything is switched; the copies at the sources wait for the clean-up"
    else:
        about = f", about {read.seconds_left:.0f} s left" if read.seconds_left else ""
        left = f"{len(waiting)} of {len(read.moves)} moves have not ended{about}"
    return f"{left}; {f'carried out by {read.mover}' if read.mover else 'nobody works on it: `shards resume` goes on'}"


def _name(each: MoveStatus) -> str:
    return f"{each.move.ordinal + 1}: {each.move.source} → {each.move.target}"


def _as_row(each: MoveStatus) -> list[object]:
    move = each.move
    rows = move.rows_planned if move.rows_moved is None else move.rows_moved
    pause = None if move.pause_ms_max is None else f"{move.pause_ms_max:.0f}"
    wanted = "" if move.phase in ENDED else str(move.wish)
    return [
        _name(each), str(move.phase), wanted, len(move.buckets), each.switched, rows, each.copied_rows,
        megabytes(each.lag_bytes), pause,
    ]  # fmt: skip


def _as_json(each: MoveStatus) -> dict[str, object]:
    move = each.move
    return {
        "move_id": str(move.move_id),
        "plan_id": str(move.plan_id),
        "number": move.ordinal + 1,
        "source": move.source,
        "target": move.target,
        "phase": str(move.phase),
        "wish": str(move.wish),
        "trouble": move.trouble,
        "buckets": len(move.buckets),
        "buckets_switched": each.switched,
        "rows_planned": move.rows_planned,
        "bytes_planned": move.bytes_planned,
        "rows_copied": each.copied_rows,
        "rows_moved": move.rows_moved,
        "lag_bytes": each.lag_bytes,
        "pause_ms_max": move.pause_ms_max,
        "keep_copies": move.keep_copies,
        "planned_at": move.planned_at,
        "copying_at": move.copying_at,
        "following_at": move.following_at,
        "switched_at": move.switched_at,
        "ended_at": move.ended_at,
    }
