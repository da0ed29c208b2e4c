"""Players with odd names on the session's cluster, and what is held of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from infra.local.cluster import LocalCluster
from service.backup.back_up import back_up
from service.backup.check_backup import check_backup
from service.backup.manifest import Manifest
from service.backup.restore import Restored, load_shards, open_shards
from service.parts import Parts
from service.renew_ranks import renew_ranks
from service.submit import submit_score
from sharding.reshard.fleet import Fleet, locked_fleet
from tests.cli.shell import query
from tests.factories import make_id, make_submission, opened_parts
from tests.sharding.routers import reset_owners

PLAYERS = range(1, 201)
ODD_NAMES = ("tab\tand \\N", "line\nend", "Zoë 陽菜", "\\.", '"')

_HELD = (
    "select bucket, user_id, username, created_at from players",
    "select bucket, user_id, total_score, games_played, last_played, revision from leaderboard",
    "select * from game_sessions",
)


async def play(parts: Parts) -> None:
    """A thousand sessions and a few, some of them of players with names that a file could break on."""
    dice = random.Random(1)
    rounds = [make_submission(user, dice.randint(-20, 100), id=make_id(5)) for user in PLAYERS for _ in range(5)]
    odd = [make_submission(-n, n, username=name, game_mode=name) for n, name in enumerate(ODD_NAMES, 1)]
    submissions = rounds + odd
    # Not all at once: on a machine that is busy the queues would refuse some.
    for start in range(0, len(submissions), 100):
        await asyncio.gather(*(submit_score(parts, each) for each in submissions[start : start + 100]))


@asynccontextmanager
async def played_on(cluster: LocalCluster) -> AsyncIterator[None]:
    """Two hundred players, a thousand sessions, and their ranks; who owns what is as before afterwards."""
    async with opened_parts(cluster, background=False) as parts:
        await renew_ranks(parts)
        await play(parts)
    yield
    await reset_owners(cluster)


async def held(cluster: LocalCluster) -> list[list[tuple[Any, ...]]]:
    """Every row of players, standings and sessions, whichever shards they are on."""
    return [sorted(await query(cluster, statement), key=repr) for statement in _HELD]


async def states(cluster: LocalCluster) -> set[str]:
    """The states in which buckets are."""
    return {state for (state,) in await query(cluster, "select distinct state from bucket_owner")}


async def wipe(cluster: LocalCluster) -> None:
    """Shards as `make up` makes them on a new directory; Redis keeps what it has."""
    await query(cluster, "truncate game_sessions, leaderboard, players, api_keys, bucket_moves, move_markers")
    await reset_owners(cluster)


async def keep(fleet: Fleet, folder: Path) -> Manifest:
    """Back up, as the command does."""
    async with locked_fleet(fleet, "backup", shared=True):
        return await back_up(fleet, folder, "0.0.test")


async def restore(
    fleet: Fleet, folder: Path, *, renames: Mapping[str, str] | None = None, overwrite: bool = False
) -> Restored:
    """Load and open all shards, as the command does."""
    manifest = await check_backup(folder)
    async with locked_fleet(fleet, "restore"):
        restored = await load_shards(fleet, folder, manifest, renames=renames or {}, overwrite=overwrite)
        await open_shards(fleet)
    return restored
