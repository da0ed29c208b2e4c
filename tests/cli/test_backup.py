"""`shardboard backup` and `restore` as an operator runs them: under traffic, killed half-way, on a full disk."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from domain.errors import Conflict, OperatorError
from domain.submission import Submission
from infra.local.cluster import LocalCluster
from service.backup.manifest import read_manifest
from service.submit import submit_score
from sharding.reshard.fleet import Fleet
from tests.chaos.faults.disk import SmallDisk
from tests.cli.movers import terminal
from tests.cli.shell import query, shardboard
from tests.db.shards import connected
from tests.factories import make_submission, opened_parts
from tests.service.backup.world import PLAYERS, held, keep, played_on, states, wipe
from tests.waiting import until

ROWS = "select id, user_id, score from game_sessions"
LOADED = "select exists (select from bucket_owner where state = 'frozen' and epoch = 2)"


@pytest.fixture
async def played(clean: LocalCluster) -> AsyncIterator[LocalCluster]:
    async with played_on(clean):
        yield clean


async def test_what_was_acknowledged_before_is_restored_once_though_scores_came_in(
    played: LocalCluster, tmp_path: Path
) -> None:
    before = {row[0] for row in await query(played, ROWS)}
    submitted: dict[object, Submission] = {}
    dice = random.Random(2)
    async with opened_parts(played) as parts:

        async def submit() -> None:
            while True:
                submission = make_submission(dice.choice(PLAYERS), dice.randint(0, 50))
                submitted[submission.id] = submission
                await submit_score(parts, submission)
                await asyncio.sleep(0.01)

        players = asyncio.create_task(submit())
        done = await shardboard(played, "backup", tmp_path / "kept", "--json")
        players.cancel()
        assert (done.code, done.err) == (0, "")
        # One in a hundred, at the least.
        assert len(submitted) > len(before) / 100
        later = make_submission(1, 1_000)
        await submit_score(parts, later)

    await wipe(played)
    restored = await shardboard(played, "restore", tmp_path / "kept")
    assert (restored.code, restored.err) == (0, "")
    assert restored.out.startswith(f"4 shard(s) with 205 players and {done.json['sessions']:,} sessions are restored")
    rows = {row[0]: row[2] for row in await query(played, ROWS)}
    assert len(rows) == done.json["sessions"]
    assert before <= rows.keys() <= before | submitted.keys()
    sums = {user: (total, games) for user, total, games in await query(played, _SUMS)}
    totals = await query(played, "select user_id, total_score, games_played from leaderboard")
    assert {user: (total, games) for user, total, games in totals} == sums

    async with opened_parts(played) as parts:
        # Ids that were used are known: for a client's retry, and for whoever tries one for another player.
        used = [submitted[id_] for id_ in rows.keys() & submitted.keys()][:3]
        for submission in used:
            again = replace(submission, recorded_us=1, id_given=True)
            assert (await submit_score(parts, again)).duplicate
            with pytest.raises(Conflict):
                await submit_score(parts, replace(again, user_id=submission.user_id + 1_000))
        assert len(used) == 3
        assert not (await submit_score(parts, later)).duplicate
    assert len(await query(played, ROWS)) == len(rows) + 1
    assert (await shardboard(played, "ranks", "verify")).code == 0


_SUMS = "select user_id, sum(score)::bigint, count(*) from game_sessions group by user_id"


async def test_a_backup_that_is_killed_is_none(played: LocalCluster, tmp_path: Path) -> None:
    async with connected(played.shards[3].direct_url) as connection, connection.transaction():
        await connection.execute("lock table game_sessions in access exclusive mode")
        async with terminal(played, "backup", tmp_path / "kept") as backup:
            await until(lambda: _some(tmp_path, "kept.incomplete-*/shard-shard1/game_sessions.copy.gz"))
            backup.kill()
            await backup.ended()
    (left,) = tmp_path.iterdir()
    with pytest.raises(OperatorError, match="stopped before its end"):
        read_manifest(left)
    again = await shardboard(played, "backup", tmp_path / "kept")
    assert (again.code, again.err) == (0, f"{left} is left of a backup that was killed; it may be deleted\n")
    assert (await shardboard(None, "restore", "--check", tmp_path / "kept")).code == 0


async def _some(directory: Path, pattern: str) -> bool:
    return any(directory.glob(pattern))


async def test_a_restore_that_is_killed_lets_nobody_play_and_is_begun_again(
    played: LocalCluster, fleet: Fleet, tmp_path: Path
) -> None:
    await keep(fleet, tmp_path / "kept")
    before = await held(played)
    await wipe(played)
    async with connected(played.shards[3].direct_url) as connection, connection.transaction():
        await connection.execute("lock table game_sessions in access share mode")
        await connection.execute("lock table players in share mode")
        async with terminal(played, "restore", tmp_path / "kept") as restore:
            await until(lambda: _loaded(played, 3))
            restore.kill()
            await restore.ended()
    assert await states(played) == {"frozen"}
    done = await shardboard(played, "restore", tmp_path / "kept")
    assert (done.code, done.err) == (0, "loaded by an earlier run already: shard1, shard2, shard3\n")
    assert (await held(played), await states(played)) == (before, {"owned"})


async def _loaded(cluster: LocalCluster, count: int) -> bool:
    return [row[0] for row in await query(cluster, LOADED)].count(True) == count


async def test_a_full_disk_is_told_and_nothing_is_left(played: LocalCluster, tmp_path: Path) -> None:
    with SmallDisk.mounted(tmp_path / "small") as disk:
        if disk is None:
            pytest.skip("no file system may be mounted here")
        disk.fill()
        done = await shardboard(played, "backup", tmp_path / "small" / "kept")
        assert done.code == 1
        assert "No space left on device. Nothing is left of it." in done.err
        assert [path.name for path in (tmp_path / "small").iterdir()] == ["filler"]
