"""`shardboard seed`: invented players and sessions, for trying out, load tests and benchmarks."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from app.cli.find_settings import data_option, find_settings
from app.cli.fleet import open_still_fleet
from app.cli.output import json_option, print_json, progress, say
from app.parts import open_parts
from app.settings import Settings
from domain.ids import USER_ID_MIN
from service.invented_players import SeedPlan
from service.seed import seed as write_seed


@click.command()
@click.option("--players", type=click.IntRange(1), default=1_000, show_default=True)
@click.option("--sessions", type=click.IntRange(1), help="In all, at least one a player; ten a player when not given.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another number gives other players.")
@click.option("--first-id", type=click.IntRange(USER_ID_MIN), default=1, show_default=True, help="The first user id.")
@click.option("--days", type=click.IntRange(1, 3_660), default=365, show_default=True, help="Spread over so many days.")
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="When the last day ends, in UTC; the last midnight when not given.",
)
@data_option
@json_option
def seed(
    players: int,
    sessions: int | None,
    seed: int,
    first_id: int,
    days: int,
    until: datetime | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Fill the shards with believable players and sessions, and build the ranks.

    The same --seed, --first-id, --days and --until give the same data. Players that exist already are never touched:
    where one of the user ids is taken, nothing is written, and the message says which --first-id is free. It is all
    or nothing over all shards.
    """
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    end = until.replace(tzinfo=UTC) if until else midnight
    count = players * 10 if sessions is None else sessions
    if count < players:
        raise click.UsageError(f"--sessions must be at least --players ({players}): everybody has played once.")
    if end > datetime.now(UTC):
        raise click.UsageError("--until must not lie in the future.")
    plan = SeedPlan(players, count, seed, first_id, end - timedelta(days=days), end)
    seconds = asyncio.run(_seed(find_settings(data), plan))
    if as_json:
        print_json({"players": players, "sessions": count, "first_user_id": first_id, "seconds": round(seconds, 1)})
    else:
        click.echo(f"{players} players with {count} sessions are in, ranks included, after {seconds:.1f} s")


async def _seed(settings: Settings, plan: SeedPlan) -> float:
    began_at = time.monotonic()
    async with open_parts(settings, background=False) as parts, open_still_fleet(settings, "seed") as fleet:
        with progress("sessions", plan.sessions) as sessions_done, progress("players ranked") as ranks_done:
            await write_seed(parts, fleet.direct, plan, say=say, sessions_done=sessions_done, ranks_done=ranks_done)
    return time.monotonic() - began_at
